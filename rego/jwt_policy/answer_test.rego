# The entrypoint `answer`.
package jwt_policy_test

import data.jwt_policy
import data.jwt_policy.settings

test_answer_holds_the_decision_the_fingerprint_and_what_is_current if {
	_answer({"claims": _claims, "type": "devices", "resource": _mine}) == {
		"decisions": [_matched],
		"fingerprint": settings.fingerprint,
		"current": _current,
	}
}

test_answer_holds_what_is_current_where_anything_is if {
	jwt_policy.answer.current == {} with data.jwt_policy_data as {}
	jwt_policy.answer.current == {"devices": {"layout": 2}, "sessions": _current.sessions} with data.jwt_policy_data as {
		"devices": {"state": {"layout": 2, "current": _current.devices}},
		"sessions": {"state": {"layout": 1, "current": _current.sessions}},
		"users": {"state": {"layout": 1, "current": _current.devices}},
	}
}

test_answer_to_resources_and_to_ids if {
	_answer({"claims": _claims, "type": "devices", "resources": [_theirs, null, _mine]}).decisions == [
		_not_mine, _invalid_resource, _matched,
	]
	_answer({"claims": _claims, "type": "devices", "ids": ["device2", null, "device1"]}).decisions == [
		_not_mine, _unknown_resource, _matched,
	]
}

test_answer_to_empty_lists_is_empty if {
	_answer({"claims": _claims, "type": "devices", "resources": []}).decisions == []
	_answer({"claims": _claims, "type": "devices", "ids": []}).decisions == []
	_answer({"requests": []}).decisions == []
}

test_answer_takes_no_ids_beside_resources_that_are_no_array if {
	_answer({"claims": {}, "type": "devices", "resources": null, "ids": ["device1", "device1"]}).decisions == [
		_invalid_resource,
	]
}

test_answer_takes_no_object_for_a_list if {
	_answer({"claims": {}, "type": "devices", "resources": {"a": _mine}}).decisions == [_invalid_resource]
	_answer({"claims": {}, "type": "devices", "ids": {"a": "device1"}}).decisions == [_invalid_resource]
	_answer({"claims": {}, "type": "devices", "requests": {}, "id": "device1"}).decisions == [_unrestricted]
}

test_answer_to_requests_is_one_decision_each_in_order if {
	_answer({"requests": [
		{"claims": _claims, "type": "devices", "resource": _theirs},
		null, false, 0, "", [], {},
		{"claims": {}, "type": "devices", "id": "device1"},
		{"claims": {}, "type": "users", "id": "device1"},
		{"claims": {}, "type": "devices"},
		{"type": "devices", "resource": _mine},
		{"claims": _claims, "type": "devices", "id": "device1"},
	]}).decisions == [
		_not_mine,
		_malformed, _malformed, _malformed, _malformed, _malformed, _malformed,
		_unrestricted,
		{"allow": false, "reason": "unknown_type"},
		_invalid_resource,
		_malformed,
		_matched,
	]
}

test_answer_takes_requests_before_all_else if {
	_answer({
		"claims": {}, "type": "devices", "resources": [_mine], "resource": _mine,
		"requests": [{"claims": _claims, "type": "devices", "resource": _theirs}],
	}).decisions == [_not_mine]
}

test_answer_does_not_fill_requests_in_from_around_them if {
	question := {"claims": {}, "type": "devices", "resource": _mine, "requests": [{"type": "devices"}]}
	_answer(question).decisions == [_malformed]
}

test_answer_explains_with_the_stored_resource if {
	_answer({"claims": _claims, "type": "devices", "id": "device2", "explain": true}) == {
		"decisions": [_not_mine],
		"fingerprint": settings.fingerprint,
		"resource": _theirs,
		"current": _current,
	}
}

test_answer_explains_only_when_it_is_asked_to if {
	answers := [_answer({"claims": {}, "type": "devices", "id": "device1", "explain": explain}) |
		some explain in [false, null, 1, "true", [], {}]
	]
	[object.keys(answered) | some answered in answers] == [{"current", "decisions", "fingerprint"} | some _ in answers]
	count(answers) == 6
}

test_answer_explains_no_resource_where_none_is_stored if {
	questions := [
		{"claims": {}, "type": "devices", "id": "device4", "explain": true},
		{"claims": {}, "type": "devices", "id": "device3", "explain": true},
		{"claims": {}, "type": "devices", "resource": _mine, "explain": true},
		{"claims": {}, "type": "users", "id": "device1", "explain": true},
		{"claims": {}, "id": "device1", "explain": true},
	]
	result := [object.keys(_answer(question)) | some question in questions]
	result == [{"current", "decisions", "fingerprint"} | some _ in questions]
}

_by_position(distinct, positions) := [decided |
	some position in positions
	decided := distinct[position]
]

test_answer_numbers_the_decisions_where_it_is_asked_to if {
	questions := [
		{"claims": _claims, "type": "devices", "resources": [_theirs, _mine, {"id": "x"}, _theirs, _mine, null]},
		{"claims": _claims, "type": "devices", "ids": ["device1", "device2", "none", "device1"]},
		{"requests": [{"claims": {}, "type": "devices", "resource": _mine}, null, null]},
		{"claims": _claims, "type": "devices", "resource": _mine},
		{"claims": _claims, "type": "devices", "resources": []},
	]
	numbered := [_answer(object.union(question, {"numbered": true})) | some question in questions]
	decisions := [_by_position(answered.distinct, answered.decisions) | some answered in numbered]
	decisions == [_answer(question).decisions | some question in questions]
	[count(answered.distinct) | some answered in numbered] == [4, 3, 2, 1, 0]
	every answered in numbered {
		is_array(answered.distinct)
	}
	rest := [object.remove(answered, ["decisions", "distinct"]) | some answered in numbered]
	rest == [object.remove(_answer(question), ["decisions"]) | some question in questions]
}

test_answer_numbers_only_where_it_is_asked_to if {
	question := {"claims": {}, "type": "devices", "resources": [_mine, _mine]}
	answers := [_answer(object.union(question, {"numbered": numbered})) |
		some numbered in [false, null, 1, "true", [], {}]
	]
	answers == [_answer(question) | some _ in answers]
	count(answers) == 6
}
