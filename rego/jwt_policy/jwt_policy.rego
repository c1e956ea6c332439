# METADATA
# title: JWT policy
# scope: package
# description: >-
#   Decide what the policy claim of a JWT lets its bearer access. A client must send numbers in canonical text and
#   strings as raw UTF-8, and must first refuse JSON that only some parsers accept: see the README.
# custom:
#   rules: [R1, R2, R3, R4, R5, R6, R7]
package jwt_policy

import data.jwt_policy.constraint
import data.jwt_policy.grant
import data.jwt_policy.listing
import data.jwt_policy.resource
import data.jwt_policy.settings
import data.jwt_policy.store

# METADATA
# title: Whether the access is allowed
# scope: document
# description: The input is that of `decision`. False for every other input.
# entrypoint: true
default allow := false

allow if decision.allow

# METADATA
# title: The decision
# scope: document
# description: >-
#   The input has `claims`, `type`, and `resource` or `id`. The decision is an object with `allow` and `reason`;
#   with `violations` where the policy claim is invalid; with `failures` where a constraint failed. It is defined for
#   every input.
# entrypoint: true
default decision := {"allow": false, "reason": "malformed_input"}

decision := _decide(input)

# METADATA
# title: A decision for each resource
# scope: document
# description: >-
#   The input has `claims`, `type`, and an array `resources` or `ids`. The decisions are an array, exactly one for
#   each item, in the same order.
# entrypoint: true
default decisions := []

decisions := _decide_together(_grant(input), input.resources) if {
	is_array(input.resources)
	resource.are_valid(input.resources)
} else := [_decide_one(granted, resource.validated(value)) | some value in input.resources] if {
	is_array(input.resources)
	granted := _grant(input)
} else := _decide_together(_grant(input), values) if {
	not "resources" in object.keys(input)
	is_array(input.ids)
	values := resource.all_stored(input.type, input.ids)
} else := [_decide_one(granted, resource.stored(type, id)) | some id in input.ids] if {
	not "resources" in object.keys(input)
	is_array(input.ids)
	type := object.get(input, "type", null)
	granted := _grant(input)
}

# The same decisions for valid resources, several times faster than one after the other.
_decide_together(granted, resources) := [decided | some _ in resources] if {
	decided := granted.denial # R1
} else := [decided | some _ in resources] if {
	decided := granted.decision # R3, R4, R5
} else := decided if {
	all_failures := constraint.failures_of_each(granted.description, resources)
	by_failures := {failures: _from_failures(failures) | some failures in {failures | some failures in all_failures}}
	decided := [by_failures[failures] | some failures in all_failures]
}

# METADATA
# title: The answer to the bridge
# description: >-
#   The input is that of `decision`, that of `decisions`, or an array `requests` of inputs of `decision`. The answer is
#   an object with the `decisions`, one for each request in the same order; the `fingerprint` of the rules; and the
#   `current` state of the stored resources by type. Where the input has `explain`, it also has the stored `resource` of
#   the `id`. Where the input has `numbered`, `distinct` has the different decisions, and `decisions` has for each
#   request the position of its decision in `distinct`. Where the input has a `nonce`, of any type, the answer has the
#   same one.
# entrypoint: true
answer := object.union(_answer, {"resource": stored_resource}) if {
	input.explain == true
	stored_resource := resource.stored(input.type, input.id).resource
} else := object.union(_answer, {"decisions": positions, "distinct": distinct}) if {
	input.numbered == true
	distinct := [decided | some decided in {decided | some decided in _requested}]
	position := {decided: place | some place, decided in distinct}
	positions := [position[decided] | some decided in _requested]
} else := _answer

_answer := {
	"fingerprint": settings.fingerprint,
	"nonce": nonce,
	"decisions": _requested,
	"current": _current,
} if {
	nonce := input.nonce
} else := {
	"fingerprint": settings.fingerprint,
	"decisions": _requested,
	"current": _current,
}

# The members that the answers of `list` and `stored_view` have in common.
_common := {"fingerprint": settings.fingerprint, "nonce": nonce, "current": _current} if {
	nonce := input.nonce
} else := {"fingerprint": settings.fingerprint, "current": _current}

_current[type] := resource.state(type) if some type in settings.types

# METADATA
# title: Some pages of a list, for the bridge
# description: >-
#   Only the bridge needs this. The input has verified `claims`, `type`, and the pages, as for `listing.result`. The
#   answer has `listed`, the `fingerprint`, `current`, and the `nonce` of the input, as for `answer`.
list := object.union(_common, _listed)

default _listed := {}

_listed := {"listed": listing.result(
	grant.for_claims(object.get(input, "claims", null), object.get(input, "type", null)),
	input,
)}

# METADATA
# title: The part of the store that a change needs, for the bridge
# description: >-
#   Only the bridge needs this. The input has `type` and `changes`, as for `store.view`. The answer has `view`, the
#   `fingerprint`, `current`, and the `nonce` of the input, as for `answer`.
stored_view := object.union(_common, _viewed)

default _viewed := {}

_viewed := {"view": store.view(input.type, input.changes)}

# The decisions of `answer`, one for each request.
_requested := [_decide(request) | some request in input.requests] if {
	is_array(input.requests)
} else := decisions if {
	is_array(input.resources)
} else := decisions if {
	not "resources" in object.keys(input)
	is_array(input.ids)
} else := [decision]

_decide(request) := _decide_one(_grant(request), _resource(request)) if {
	is_object(request)
} else := {"allow": false, "reason": "malformed_input"}

_grant(request) := grant.for_claims(object.get(request, "claims", null), object.get(request, "type", null))

# R2
_resource(request) := resource.validated(request.resource) if {
	"resource" in object.keys(request)
} else := resource.stored(object.get(request, "type", null), request.id) if {
	"id" in object.keys(request)
} else := {"reason": "invalid_resource"}

# The order of the rules R1 to R7. The last decision denies, should none of the others be defined.
_decide_one(granted, requested) := decided if {
	decided := granted.denial # R1
} else := {"allow": false, "reason": reason} if {
	reason := requested.reason # R2
} else := decided if {
	decided := granted.decision # R3, R4, R5
} else := {"allow": true, "reason": "matched"} if {
	constraint.hold(granted.description, requested.resource) # R7
} else := decided if {
	decided := _from_failures(constraint.failures(granted.description, requested.resource)) # R6
} else := {"allow": false, "reason": "malformed_input"}

_from_failures([]) := {"allow": true, "reason": "matched"} # R7

_from_failures(failures) := {"allow": false, "reason": "constraint_failed", "failures": failures} if {
	failures != [] # R6
}
