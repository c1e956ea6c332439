# METADATA
# title: What claims grant
# description: All that can be said of a question before its resource is looked at.
# custom:
#   rules: [R1, R3, R4, R5]
package jwt_policy.grant

import data.jwt_policy.policy
import data.jwt_policy.settings

# METADATA
# title: What these claims grant for a resource type
# description: >-
#   An object with one member. `first`: the decision, whatever the resource. `then`: the decision for every proper
#   resource. `description`: the constraints that the resource has to meet.
# custom:
#   rules: [R1, R3, R4, R5]
of(claims, type) := {"first": {"allow": false, "reason": "malformed_input"}} if {
	not _well_formed(claims, type)
} else := {"first": {"allow": false, "reason": "unknown_type"}} if {
	not type in settings.types # R1
} else := {"then": _without_policy} if {
	not settings.claim in object.keys(claims) # R3
} else := _under(type, claims[settings.claim], policy.violations(claims[settings.claim]))

_well_formed(claims, type) if {
	is_object(claims)
	is_string(type)
}

# R3
_without_policy := {"allow": false, "reason": "policy_required"} if {
	settings.require_policy
} else := {"allow": true, "reason": "unrestricted"}

# R4, R5
_under(type, claim, violations) := {"description": description} if {
	violations == []
	description := claim[type]
} else := {"then": {"allow": false, "reason": "type_not_granted"}} if {
	violations == []
} else := {"then": {"allow": false, "reason": "invalid_policy", "violations": violations}}
