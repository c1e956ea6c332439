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
fingerprint := "e2e9214084d1ff7f42680632202213818682ca22b04c875065af32b54f2998db"
