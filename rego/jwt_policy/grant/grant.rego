# METADATA
# title: What claims grant
# scope: package
# description: Decide all that can be decided before the resource is read.
# custom:
#   rules: [R1, R3, R4, R5]
package jwt_policy.grant

import data.jwt_policy.policy
import data.jwt_policy.settings

# METADATA
# title: What these claims grant for a resource type
# description: >-
#   An object with one member. `denial`: the decision, whatever the resource is. `decision`: the decision for every
#   valid resource. `description`: the constraints that the resource must meet.
# custom:
#   rules: [R1, R3, R4, R5]
for_claims(claims, type) := {"denial": {"allow": false, "reason": "malformed_input"}} if {
	not _is_well_formed(claims, type)
} else := {"denial": {"allow": false, "reason": "unknown_type"}} if {
	not type in settings.types # R1
} else := {"decision": _without_policy} if {
	not settings.claim in object.keys(claims) # R3
} else := _with_policy(type, claims[settings.claim], policy.violations(claims[settings.claim]))

_is_well_formed(claims, type) if {
	is_object(claims)
	is_string(type)
}

# R3
default _without_policy := {"allow": false, "reason": "policy_required"}

_without_policy := {"allow": true, "reason": "unrestricted"} if settings.require_policy == false

# R4, R5
_with_policy(type, claim, violations) := {"description": description} if {
	violations == []
	description := claim[type]
} else := {"decision": {"allow": false, "reason": "type_not_granted"}} if {
	violations == []
} else := {"decision": {"allow": false, "reason": "invalid_policy", "violations": violations}}
