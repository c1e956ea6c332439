# METADATA
# title: JWT policy
# description: >-
#   Decides what a JWT's policy claim lets its bearer access. Send numbers in canonical text and strings as raw UTF-8,
#   and check what JSON parsers let pass, before you ask: see the README.
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
# description: Input as for `decision`. False when in doubt.
# entrypoint: true
default allow := false

allow if decision.allow

# METADATA
# title: The decision
# description: >-
#   Input: `claims`, `type`, and `resource` or `id`. An object with `allow` and `reason`; with `violations`
#   where the policy claim is invalid, with `failures` where a constraint failed. Defined for every input.
# entrypoint: true
default decision := {"allow": false, "reason": "malformed_input"}

decision := _decide(input)

# METADATA
# title: A decision for each resource
# description: >-
#   Input: `claims`, `type`, and an array `resources` or `ids`. Exactly one decision an item, in the same order.
# entrypoint: true
default decisions := []

decisions := _of_each(_grant(input), input.resources) if {
	is_array(input.resources)
	resource.are_proper(input.resources)
} else := [_decided(granted, resource.given(value)) | some value in input.resources] if {
	is_array(input.resources)
	granted := _grant(input)
} else := _of_each(_grant(input), values) if {
	not "resources" in object.keys(input)
	is_array(input.ids)
	values := resource.all_stored(input.type, input.ids)
} else := [_decided(granted, resource.stored(type, id)) | some id in input.ids] if {
	not "resources" in object.keys(input)
	is_array(input.ids)
	type := object.get(input, "type", null)
	granted := _grant(input)
}

# The same for proper resources, several times cheaper than one after the other.
_of_each(granted, resources) := [decided | some _ in resources] if {
	decided := granted.first # R1
} else := [decided | some _ in resources] if {
	decided := granted.then # R3, R4, R5
} else := [by_failures[failed] | some failed in all_failures] if {
	all_failures := constraint.failures_of_each(granted.description, resources)
	by_failures := {failed: _compared(failed) | some failed in {failed | some failed in all_failures}}
}

# METADATA
# title: What the bridge asks for
# description: >-
#   Input as for `decision`, as for `decisions`, or an array `requests` of inputs as for `decision`. An object: the
#   `decisions`, one for each request in the same order; the `fingerprint` of the rules; what is `current` of the stored
#   resources by type; and, where the input has `explain`, the stored `resource` that was asked by `id`. Where the input
#   has `numbered`, `distinct` are the different decisions, and `decisions` the number of one of these for each request.
#   Where the input has a `nonce`, the answer has the same one, whatever value it is.
# entrypoint: true
answer := object.union(_answer, {"resource": found}) if {
	input.explain == true
	found := resource.stored(input.type, input.id).resource
} else := object.union(_answer, {"decisions": [number[decided] | some decided in _answered], "distinct": distinct}) if {
	input.numbered == true
	distinct := [decided | some decided in {decided | some decided in _answered}]
	number := {decided: place | some place, decided in distinct}
} else := _answer

_answer := {
	"fingerprint": settings.fingerprint,
	"nonce": nonce,
	"decisions": _answered,
	"current": _current,
} if {
	nonce := input.nonce
} else := {
	"fingerprint": settings.fingerprint,
	"decisions": _answered,
	"current": _current,
}

# What `list` and `held` have beside what they tell.
_about := {"fingerprint": settings.fingerprint, "nonce": nonce, "current": _current} if {
	nonce := input.nonce
} else := {"fingerprint": settings.fingerprint, "current": _current}

_current := {type: resource.state(type) | some type in settings.types}

# METADATA
# title: A list as the bridge asks for it
# description: >-
#   The bridge's own. Input: verified `claims`, `type`, and which pages, as for `listing.of`. What is listed, with what
#   `answer` has beside the decisions, the `nonce` of the input included.
list := object.union(_about, _listed)

default _listed := {}

_listed := {"listed": listing.of(
	grant.of(object.get(input, "claims", null), object.get(input, "type", null)),
	input,
)}

# METADATA
# title: What is stored that a change has to do with
# description: "The bridge's own. Input: `type` and `changes`, as for `store.view`; the `nonce` as for `answer`."
held := object.union(_about, _held)

default _held := {}

_held := {"view": store.view(input.type, input.changes)}

_answered := [_decide(request) | some request in input.requests] if {
	is_array(input.requests)
} else := decisions if {
	is_array(input.resources)
} else := decisions if {
	not "resources" in object.keys(input)
	is_array(input.ids)
} else := [decision]

_decide(request) := _decided(_grant(request), _asked(request)) if {
	is_object(request)
} else := {"allow": false, "reason": "malformed_input"}

_grant(request) := grant.of(object.get(request, "claims", null), object.get(request, "type", null))

# R2
_asked(request) := resource.given(request.resource) if {
	"resource" in object.keys(request)
} else := resource.stored(object.get(request, "type", null), request.id) if {
	"id" in object.keys(request)
} else := {"reason": "invalid_resource"}

# The order of the questions; the last answer is for what none of them should leave over.
_decided(granted, asked) := decided if {
	decided := granted.first # R1
} else := {"allow": false, "reason": reason} if {
	reason := asked.reason # R2
} else := decided if {
	decided := granted.then # R3, R4, R5
} else := {"allow": true, "reason": "matched"} if {
	constraint.hold(granted.description, asked.resource) # R7
} else := decided if {
	decided := _compared(constraint.failures(granted.description, asked.resource)) # R6
} else := {"allow": false, "reason": "malformed_input"}

_compared([]) := {"allow": true, "reason": "matched"} # R7

_compared(failures) := {"allow": false, "reason": "constraint_failed", "failures": failures} if {
	failures != [] # R6
}
