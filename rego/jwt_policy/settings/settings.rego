# METADATA
# title: Settings
# description: What this rule set was rendered for. To change it, render it again.
package jwt_policy.settings

# METADATA
# title: The claim that holds the policy
claim := "policy"

# METADATA
# title: The known resource types
# custom:
#   rules: [R1, R8.4]
types := {"devices", "sessions"}

# METADATA
# title: Whether a token without a policy is denied
# custom:
#   rules: [R3]
require_policy := false

# METADATA
# title: The versions of the policy claim that are valid
# custom:
#   rules: [R8.3, R8.4]
versions := {2}

# METADATA
# title: The fingerprint of these settings and of the rules
# description: A bridge whose own fingerprint is another one refuses to decide with these rules.
fingerprint := "527620a6cd2902a2739cab4d40c0a5e04aaad16d4fe9246784ae2d6f6d483b18"
