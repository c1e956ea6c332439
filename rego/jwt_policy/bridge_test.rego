# The rules `list` and `stored_view`, which only the bridge needs.
package jwt_policy_test

import data.jwt_policy
import data.jwt_policy.settings
import data.jwt_policy.stored_test

# list

_list(question) := result if {
	result := jwt_policy.list with input as question with data.jwt_policy_data as _stored
}

_list_request := {"type": "devices", "page": 0, "pages": 1, "scanned": 1}

test_list_holds_what_is_listed_the_fingerprint_and_what_is_current if {
	question := object.union(_list_request, {"claims": _claims})
	with_index := object.union(_stored, {"devices": stored_test.indexed("7", _devices)})
	result := jwt_policy.list with input as question with data.jwt_policy_data as with_index
	result == {
		"current": _current,
		"fingerprint": settings.fingerprint,
		"listed": {"everything": false, "length": 1, "pages": [["device1", "device3"]]},
	}
}

test_list_where_every_decision_is_the_same if {
	questions := [
		{"claims": {}, "type": "users"},
		{"claims": {"policy": {"version": 1}}, "type": "devices"},
		{"claims": {"policy": {"version": 2}}, "type": "devices"},
		{"claims": null, "type": "devices"},
		{"type": "devices"},
		{"claims": {}, "type": null},
		{},
	]
	result := [_list(object.union(_list_request, question)).listed.decision.reason | some question in questions]
	result == [
		"unknown_type", "invalid_policy", "type_not_granted",
		"malformed_input", "malformed_input", "malformed_input", "malformed_input",
	]
}

test_list_without_a_type_is_malformed if {
	_list({"claims": {}, "page": 0, "pages": 1, "scanned": 1}).listed.decision == _malformed
}

test_list_of_nothing_that_was_pushed_is_no_list if {
	result := jwt_policy.list with input as object.union(_list_request, {"claims": {}}) with data.jwt_policy_data as {}
	result == {"current": {}, "fingerprint": settings.fingerprint}
}

# stored_view

test_stored_view_is_a_view_of_the_store if {
	question := {"type": "devices", "changes": [{"id": "x", "shard": "s9d", "bucket": "bd4", "postings": []}]}
	result := jwt_policy.stored_view with input as question with data.jwt_policy_data as _stored
	result == {
		"current": _current,
		"fingerprint": settings.fingerprint,
		"view": {"buckets": {"s9d/bd4": {}}, "digests": {}, "small": {}, "large": {}},
	}
}

test_stored_view_without_anything_pushed_is_no_view if {
	question := {"type": "devices", "changes": []}
	result := jwt_policy.stored_view with input as question with data.jwt_policy_data as {}
	result == {"current": {}, "fingerprint": settings.fingerprint}
}
