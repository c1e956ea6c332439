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
# title: The fingerprint of these settings and of the rules
# description: A bridge whose own fingerprint is another one refuses to decide with these rules.
fingerprint := "cf78a7a020d0d533a3a71c85105e69ce287304a11a0d0274de806781a9fa2708"
