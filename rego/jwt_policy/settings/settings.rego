# METADATA
# title: Settings
# scope: package
# description: The settings that this rule set was rendered for. To change one, render the rule set again.
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
# title: Whether claims without a policy are denied
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
# description: A bridge that has another fingerprint refuses the decisions of these rules.
fingerprint := "d8302d85851b48e85940db389730a6daca97b2890a6046a4d8345eed4b4f08ba"
