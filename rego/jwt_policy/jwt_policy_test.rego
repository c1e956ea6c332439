package jwt_policy_test

import data.jwt_policy
import data.jwt_policy.settings
import data.jwt_policy.stored_test

_malformed := {"allow": false, "reason": "malformed_input"}

_invalid_resource := {"allow": false, "reason": "invalid_resource"}

_unknown_resource := {"allow": false, "reason": "unknown_resource"}

_matched := {"allow": true, "reason": "matched"}

_unrestricted := {"allow": true, "reason": "unrestricted"}

# Only the devices of user1.
_claims := {"policy": {"version": 2, "devices": {"custom_data": {"user_id": "user1"}}}}

_mine := {"id": "device1", "custom_data": {"user_id": "user1"}}

_theirs := {"id": "device2", "custom_data": {"user_id": "user2"}}

_not_mine := {
	"allow": false,
	"reason": "constraint_failed",
	"failures": [{"pointer": "/custom_data/user_id", "code": "different"}],
}

_devices := {
	"device1": _mine,
	"device2": _theirs,
	"device3": {"id": "device1", "custom_data": {"user_id": "user1"}},
	"array": [],
	"false": false,
	"null": null,
}

_stored := {
	"devices": stored_test.document("7", _devices),
	"sessions": stored_test.document("8", {"session1": {"id": "session1"}}),
}

_current := {
	"devices": {"revision": "7", "generation": "g", "store": "tests", "count": 6},
	"sessions": {"revision": "8", "generation": "g", "store": "tests", "count": 1},
}

# Inputs that are no question, whatever is expected of them.
_no_questions := [
	null, false, true, 0, 1.5, "", "claims", [], [{}], ["claims", "type"], {},
	{"claims": null, "type": "devices", "resource": _mine},
	{"claims": [], "type": "devices", "resource": _mine},
	{"claims": "", "type": "devices", "resource": _mine},
	{"claims": false, "type": "devices", "resource": _mine},
	{"claims": 0, "type": "devices", "resource": _mine},
	{"claims": {}, "type": null, "resource": _mine},
	{"claims": {}, "type": 1, "resource": _mine},
	{"claims": {}, "type": false, "resource": _mine},
	{"claims": {}, "type": ["devices"], "resource": _mine},
	{"claims": {}, "type": {}, "resource": _mine},
	{"claims": {}, "resource": _mine},
	{"claims": {}, "id": "device1"},
	{"type": "devices", "resource": _mine},
	{"type": "devices", "id": "device1"},
	{"type": "users", "resource": _mine},
	{"claims": null, "type": "users", "resource": null},
	{"token": "a.b.c", "type": "devices", "resource": _mine},
	{"policy": {"version": 2, "devices": {}}, "type": "devices", "resource": _mine},
]

_decide(question) := decided if {
	decided := jwt_policy.decision with input as question with data.jwt_policy_data as _stored
}

_allow(question) := allowed if {
	allowed := jwt_policy.allow with input as question with data.jwt_policy_data as _stored
}

_decide_each(question) := decided if {
	decided := jwt_policy.decisions with input as question with data.jwt_policy_data as _stored
}

_answer(question) := answered if {
	answered := jwt_policy.answer with input as question with data.jwt_policy_data as _stored
}

# Every input

test_decision_without_an_input_is_malformed if jwt_policy.decision == _malformed

test_allow_without_an_input_is_false if jwt_policy.allow == false

test_decisions_without_an_input_are_none if jwt_policy.decisions == []

test_answer_without_an_input_is_malformed if jwt_policy.answer.decisions == [_malformed]

test_decision_of_no_question_is_malformed if {
	[_decide(question) | some question in _no_questions] == [_malformed | some _ in _no_questions]
}

test_allow_of_no_question_is_false if {
	[_allow(question) | some question in _no_questions] == [false | some _ in _no_questions]
}

test_answer_to_no_question_is_malformed if {
	[_answer(question).decisions | some question in _no_questions] == [[_malformed] | some _ in _no_questions]
}

test_decisions_of_no_list_are_none if {
	[_decide_each(question) | some question in _no_questions] == [[] | some _ in _no_questions]
}

# R1

test_r1_known_type_is_decided if {
	_decide({"claims": {}, "type": "devices", "resource": _mine}) == _unrestricted
	_decide({"claims": {}, "type": "sessions", "resource": _mine}) == _unrestricted
}

test_r1_unknown_type_denies if {
	_decide({"claims": {}, "type": "users", "resource": _mine}) == {"allow": false, "reason": "unknown_type"}
	_decide({"claims": {}, "type": "device", "resource": _mine}) == {"allow": false, "reason": "unknown_type"}
	_decide({"claims": {}, "type": "", "id": "device1"}) == {"allow": false, "reason": "unknown_type"}
}

test_r1_comes_before_r2 if {
	_decide({"claims": {}, "type": "users", "resource": null}) == {"allow": false, "reason": "unknown_type"}
	_decide({"claims": {}, "type": "users"}) == {"allow": false, "reason": "unknown_type"}
}

# R2

test_r2_resource_must_be_one if {
	resources := [null, false, true, 0, "", "device1", [], {}, {"id": 1}, {"id": ""}, {"id": "a", "custom_data": null}]
	found := [_decide({"claims": {}, "type": "devices", "resource": resource}) | some resource in resources]
	found == [_invalid_resource | some _ in resources]
}

test_r2_resource_counts_also_when_it_is_null if {
	_decide({"claims": {}, "type": "devices", "resource": null, "id": "device1"}) == _invalid_resource
	_decide({"claims": {}, "type": "devices", "resource": false, "id": "device1"}) == _invalid_resource
}

test_r2_resource_comes_before_the_id if {
	_decide({"claims": _claims, "type": "devices", "resource": _theirs, "id": "device1"}) == _not_mine
	_decide({"claims": _claims, "type": "devices", "resource": _mine, "id": "device2"}) == _matched
}

test_r2_neither_resource_nor_id_is_invalid if {
	_decide({"claims": {}, "type": "devices"}) == _invalid_resource
	_decide({"claims": {}, "type": "devices", "Resource": _mine, "ID": "device1"}) == _invalid_resource
}

test_r2_stored_resource_is_decided_by_id if {
	_decide({"claims": _claims, "type": "devices", "id": "device1"}) == _matched
	_decide({"claims": _claims, "type": "devices", "id": "device2"}) == _not_mine
}

test_r2_id_that_is_not_stored_is_unknown if {
	ids := ["device4", "session1", "", null, 1, false, [], {}]
	found := [_decide({"claims": {}, "type": "devices", "id": id}) | some id in ids]
	found == [_unknown_resource | some _ in ids]
}

test_r2_stored_value_that_is_no_resource_is_invalid if {
	ids := ["device3", "array", "false", "null"]
	found := [_decide({"claims": {}, "type": "devices", "id": id}) | some id in ids]
	found == [_invalid_resource | some _ in ids]
}

test_r2_comes_before_r4 if {
	_decide({"claims": {"policy": null}, "type": "devices", "resource": null}) == _invalid_resource
	_decide({"claims": {"policy": null}, "type": "devices", "id": "device4"}) == _unknown_resource
}

test_r2_comes_before_r5 if {
	_decide({"claims": {"policy": {"version": 2}}, "type": "devices", "resource": {"id": ""}}) == _invalid_resource
}

# R3

test_r3_claims_without_a_policy_allow if {
	_decide({"claims": {"sub": "a"}, "type": "devices", "resource": _theirs}) == _unrestricted
	_decide({"claims": {}, "type": "devices", "id": "device2"}) == _unrestricted
}

test_r3_policy_of_null_is_a_policy if {
	_decide({"claims": {"policy": null}, "type": "devices", "resource": _mine}).reason == "invalid_policy"
}

test_r3_claims_without_a_policy_deny_where_one_is_required if {
	decided := jwt_policy.decision with input as {"claims": {}, "type": "devices", "resource": _mine}
		with data.jwt_policy.settings.require_policy as true
	decided == {"allow": false, "reason": "policy_required"}
}

# R4, R8

test_r4_invalid_policy_denies_every_type if {
	claims := {"policy": {"version": 2, "devices": {}, "sessions": {"user_id": "a"}}}
	denied := {
		"allow": false,
		"reason": "invalid_policy",
		"violations": [{"pointer": "/sessions/user_id", "code": "unknown_field"}],
	}
	_decide({"claims": claims, "type": "devices", "resource": _mine}) == denied
	_decide({"claims": claims, "type": "sessions", "id": "session1"}) == denied
}

test_r4_violations_are_sorted if {
	claims := {"policy": {"version": 1, "users": {}, "devices": {"x": 1, "id": 2}}}
	_decide({"claims": claims, "type": "devices", "resource": _mine}) == {
		"allow": false,
		"reason": "invalid_policy",
		"violations": [
			{"pointer": "/devices/id", "code": "not_a_string"},
			{"pointer": "/devices/x", "code": "unknown_field"},
			{"pointer": "/users", "code": "unknown_resource_type"},
			{"pointer": "/version", "code": "version_unsupported"},
		],
	}
}

# R5

test_r5_type_that_is_not_granted_denies if {
	_decide({"claims": _claims, "type": "sessions", "id": "session1"}) == {"allow": false, "reason": "type_not_granted"}
}

test_r5_empty_policy_gives_access_to_nothing if {
	claims := {"policy": {"version": 2}}
	_decide({"claims": claims, "type": "devices", "resource": _mine}) == {"allow": false, "reason": "type_not_granted"}
	_decide({"claims": claims, "type": "sessions", "resource": _mine}) == {"allow": false, "reason": "type_not_granted"}
}

# R6, R9, R10

test_r6_failures_are_sorted if {
	claims := {"policy": {"version": 2, "devices": {"id": "a", "custom_data": {"z": 1, "b": 1, "user_id": "user1"}}}}
	resource := {"id": "A", "custom_data": {"b": 2, "user_id": "user1"}}
	_decide({"claims": claims, "type": "devices", "resource": resource}) == {
		"allow": false,
		"reason": "constraint_failed",
		"failures": [
			{"pointer": "/custom_data/b", "code": "different"},
			{"pointer": "/custom_data/z", "code": "missing"},
			{"pointer": "/id", "code": "different"},
		],
	}
}

test_r9_id_demanded if {
	claims := {"policy": {"version": 2, "devices": {"id": "device1"}}}
	_decide({"claims": claims, "type": "devices", "resource": _mine}) == _matched
	_decide({"claims": claims, "type": "devices", "resource": _theirs}) == {
		"allow": false,
		"reason": "constraint_failed",
		"failures": [{"pointer": "/id", "code": "different"}],
	}
}

test_r10_custom_data_demanded if {
	_decide({"claims": _claims, "type": "devices", "resource": _mine}) == _matched
	_decide({"claims": _claims, "type": "devices", "resource": _theirs}) == _not_mine
	_decide({"claims": _claims, "type": "devices", "resource": {"id": "device1"}}) == {
		"allow": false,
		"reason": "constraint_failed",
		"failures": [{"pointer": "/custom_data/user_id", "code": "missing"}],
	}
}

# R7

test_r7_empty_description_gives_full_access if {
	claims := {"policy": {"version": 2, "sessions": {}}}
	_decide({"claims": claims, "type": "sessions", "id": "session1"}) == _matched
	_decide({"claims": claims, "type": "sessions", "resource": _theirs}) == _matched
	_decide({"claims": claims, "type": "devices", "resource": _theirs}).allow == false
}

_some_failure(_, _) := ["failure"]

test_r7_whether_all_holds_is_asked_before_what_fails if {
	decided := jwt_policy.decision with input as {"claims": _claims, "type": "devices", "resource": _mine}
		with data.jwt_policy.constraint.failures as _some_failure
	decided == _matched
}

# None of the questions may be left over: should a grant say nothing, nothing is accessible.

_no_grant(_, _) := {}

test_grant_that_says_nothing_denies if {
	decided := jwt_policy.decision with input as {"claims": {}, "type": "devices", "resource": _mine}
		with data.jwt_policy.grant.of as _no_grant
	decided == _malformed
}

test_grant_that_says_nothing_denies_each_item if {
	decided := jwt_policy.decisions with input as {"claims": {}, "type": "devices", "resources": [_mine, _mine]}
		with data.jwt_policy.grant.of as _no_grant
	decided == [_malformed, _malformed]
}

# allow

test_allow_is_what_the_decision_says if {
	_allow({"claims": _claims, "type": "devices", "resource": _mine}) == true
	_allow({"claims": _claims, "type": "devices", "resource": _theirs}) == false
	_allow({"claims": _claims, "type": "devices", "id": "device1"}) == true
	_allow({"claims": _claims, "type": "devices", "id": "device2"}) == false
}

# decisions

test_decisions_one_for_each_resource_in_order if {
	resources := [_theirs, _mine, null, false, 0, "device1", [], {}, {"id": ""}, _mine, _theirs]
	_decide_each({"claims": _claims, "type": "devices", "resources": resources}) == [
		_not_mine, _matched, _invalid_resource, _invalid_resource, _invalid_resource, _invalid_resource,
		_invalid_resource, _invalid_resource, _invalid_resource, _matched, _not_mine,
	]
}

test_decisions_one_for_each_id_in_order if {
	ids := ["device2", "device1", "device4", "", null, false, 0, [], {}, "device3", "array", "false", "null", "device1"]
	_decide_each({"claims": _claims, "type": "devices", "ids": ids}) == [
		_not_mine, _matched, _unknown_resource, _unknown_resource, _unknown_resource, _unknown_resource,
		_unknown_resource, _unknown_resource, _unknown_resource, _invalid_resource, _invalid_resource,
		_invalid_resource, _invalid_resource, _matched,
	]
}

test_decisions_of_nothing_are_none if {
	_decide_each({"claims": _claims, "type": "devices", "resources": []}) == []
	_decide_each({"claims": _claims, "type": "devices", "ids": []}) == []
}

test_decisions_are_malformed_for_each_item_where_the_claims_are if {
	_decide_each({"type": "devices", "resources": [_mine, null]}) == [_malformed, _malformed]
	_decide_each({"claims": [], "type": "devices", "ids": ["device1", 7]}) == [_malformed, _malformed]
}

test_decisions_are_malformed_for_each_item_where_the_type_is if {
	_decide_each({"claims": {}, "resources": [_mine, null]}) == [_malformed, _malformed]
	_decide_each({"claims": {}, "ids": ["device1", 7]}) == [_malformed, _malformed]
	_decide_each({"claims": {}, "type": 7, "ids": ["device1", 7]}) == [_malformed, _malformed]
}

test_decisions_of_an_unknown_type_are_one_for_each_item if {
	denied := {"allow": false, "reason": "unknown_type"}
	_decide_each({"claims": {}, "type": "users", "resources": [_mine, null]}) == [denied, denied]
	_decide_each({"claims": {}, "type": "users", "ids": ["device1", 7]}) == [denied, denied]
}

test_decisions_resources_come_before_ids if {
	question := {"claims": _claims, "type": "devices", "resources": [_theirs], "ids": ["device1", "device1"]}
	_decide_each(question) == [_not_mine]
}

test_decisions_ids_do_not_count_beside_resources_that_are_no_array if {
	values := [null, false, 0, "", {}, {"0": _mine}]
	found := [_decide_each({"claims": {}, "type": "devices", "resources": value, "ids": ["device1"]}) |
		some value in values
	]
	found == [[] | some _ in values]
}

test_decisions_take_no_object_for_a_list if {
	_decide_each({"claims": {}, "type": "devices", "resources": {"a": _mine}}) == []
	_decide_each({"claims": {}, "type": "devices", "ids": {"a": "device1"}}) == []
	_decide_each({"claims": {}, "type": "devices", "ids": "device1"}) == []
}

test_decisions_are_those_of_each_question_alone if {
	resources := [_mine, _theirs, null, {"id": "x"}]
	_decide_each({"claims": _claims, "type": "devices", "resources": resources}) == [decided |
		some resource in resources
		decided := _decide({"claims": _claims, "type": "devices", "resource": resource})
	]
}

test_decisions_on_proper_resources_are_those_of_each_alone if {
	resources := [
		_mine, _theirs, {"id": "x"}, _mine,
		{"id": "device1", "custom_data": {"user_id": null}},
		{"id": "device1", "custom_data": {"user_id": "user1", "a": 1}},
	]
	questions := [{"claims": claims, "type": type} |
		some claims in [
			_claims, {}, null,
			{"policy": {"version": 2}},
			{"policy": {"version": 1}},
			{"policy": {"version": 2, "devices": {}}},
			{"policy": {"version": 2, "devices": {"id": "device1"}}},
			{"policy": {"version": 2, "devices": {"id": "x", "custom_data": {"user_id": null, "a": 1}}}},
		]
		some type in ["devices", "sessions", "users", null]
	]
	found := [_decide_each(object.union(question, {"resources": resources})) | some question in questions]
	found == [[_decide(object.union(question, {"resource": value})) | some value in resources] | some question in questions]
	count(found) == 32
	every decided in found {
		count(decided) == 6
	}
}

test_decisions_on_stored_resources_are_those_of_each_alone if {
	ids := ["device1", "device2", "device1"]
	_decide_each({"claims": _claims, "type": "devices", "ids": ids}) == [_matched, _not_mine, _matched]
	_decide_each({"claims": {}, "type": "devices", "ids": ids}) == [_unrestricted, _unrestricted, _unrestricted]
	none := {"claims": _claims, "type": "sessions", "ids": ["session1"]}
	_decide_each(none) == [{"allow": false, "reason": "type_not_granted"}]
}

test_decisions_on_one_resource_that_is_none_among_many if {
	_decide_each({"claims": _claims, "type": "devices", "resources": [_mine, {"id": ""}, _theirs]}) == [
		_matched, _invalid_resource, _not_mine,
	]
	_decide_each({"claims": _claims, "type": "devices", "ids": ["device1", "device3", "device2"]}) == [
		_matched, _invalid_resource, _not_mine,
	]
}

# Which way a batch is decided. Both ways decide alike, so each shows only where the other one says something else.

_alone(_, _) := "alone"

_together(_, _) := "together"

test_what_stands_for_a_way_is_no_decision if {
	[_some_failure({}, {}), _alone({}, {}), _together({}, [])] == [["failure"], "alone", "together"]
}

_decide_together(question) := decided if {
	decided := _decide_each(question) with data.jwt_policy._decided as _alone
}

_decide_alone(question) := decided if {
	decided := _decide_each(question) with data.jwt_policy._of_each as _together
}

_of_every_grant := [
	{"type": "devices"},
	{"claims": {}, "type": "devices"},
	{"claims": {"policy": {"version": 1}}, "type": "devices"},
	{"claims": {"policy": {"version": 2, "devices": {}}}, "type": "devices"},
	{"claims": _claims, "type": "devices"},
]

test_decisions_on_proper_resources_are_made_together if {
	questions := [object.union(question, {"resources": [_mine, _theirs]}) | some question in _of_every_grant]
	found := [_decide_together(question) | some question in questions]
	found == [_decide_each(question) | some question in questions]
	found[4] == [_matched, _not_mine]
}

test_decisions_on_stored_resources_are_made_together if {
	questions := [object.union(question, {"ids": ["device1", "device2"]}) | some question in _of_every_grant]
	found := [_decide_together(question) | some question in questions]
	found == [_decide_each(question) | some question in questions]
	found[4] == [_matched, _not_mine]
}

test_decisions_are_made_alone_where_one_is_on_no_resource if {
	questions := [
		{"claims": _claims, "type": "devices", "resources": [_mine, {"id": ""}]},
		{"claims": _claims, "type": "devices", "ids": ["device1", "device3"]},
		{"claims": _claims, "type": "devices", "ids": ["device1", "device4"]},
	]
	found := [_decide_alone(question) | some question in questions]
	found == [[_matched, _invalid_resource], [_matched, _invalid_resource], [_matched, _unknown_resource]]
}

# answer

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
	found := [object.keys(_answer(question)) | some question in questions]
	found == [{"current", "decisions", "fingerprint"} | some _ in questions]
}

# list

_list(question) := found if {
	found := jwt_policy.list with input as question with data.jwt_policy_data as _stored
}

_asked := {"type": "devices", "page": 0, "pages": 1, "scanned": 1}

test_list_holds_what_is_listed_the_fingerprint_and_what_is_current if {
	question := object.union(_asked, {"claims": _claims})
	with_index := object.union(_stored, {"devices": stored_test.indexed("7", _devices)})
	found := jwt_policy.list with input as question with data.jwt_policy_data as with_index
	found == {
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
	found := [_list(object.union(_asked, question)).listed.decision.reason | some question in questions]
	found == [
		"unknown_type", "invalid_policy", "type_not_granted",
		"malformed_input", "malformed_input", "malformed_input", "malformed_input",
	]
}

test_list_without_a_type_is_malformed if {
	_list({"claims": {}, "page": 0, "pages": 1, "scanned": 1}).listed.decision == _malformed
}

test_list_of_nothing_that_was_pushed_is_no_list if {
	found := jwt_policy.list with input as object.union(_asked, {"claims": {}}) with data.jwt_policy_data as {}
	found == {"current": {}, "fingerprint": settings.fingerprint}
}

# held

test_held_is_a_view_of_the_store if {
	question := {"type": "devices", "changes": [{"id": "x", "shard": "s9d", "bucket": "bd4", "postings": []}]}
	found := jwt_policy.held with input as question with data.jwt_policy_data as _stored
	found == {
		"current": _current,
		"fingerprint": settings.fingerprint,
		"view": {"buckets": {"s9d/bd4": {}}, "digests": {}, "small": {}, "large": {}},
	}
}

test_held_without_anything_pushed_is_no_view if {
	question := {"type": "devices", "changes": []}
	found := jwt_policy.held with input as question with data.jwt_policy_data as {}
	found == {"current": {}, "fingerprint": settings.fingerprint}
}

test_answer_numbers_the_decisions_where_it_is_asked_to if {
	questions := [
		{"claims": _claims, "type": "devices", "resources": [_theirs, _mine, {"id": "x"}, _theirs, _mine, null]},
		{"claims": _claims, "type": "devices", "ids": ["device1", "device2", "none", "device1"]},
		{"requests": [{"claims": {}, "type": "devices", "resource": _mine}, null, null]},
		{"claims": _claims, "type": "devices", "resource": _mine},
		{"claims": _claims, "type": "devices", "resources": []},
	]
	numbered := [_answer(object.union(question, {"numbered": true})) | some question in questions]
	told := [[answered.distinct[number] | some number in answered.decisions] | some answered in numbered]
	told == [_answer(question).decisions | some question in questions]
	[count(answered.distinct) | some answered in numbered] == [4, 3, 2, 1, 0]
	every answered in numbered {
		is_array(answered.distinct)
	}
	rest := [object.remove(answered, ["decisions", "distinct"]) | some answered in numbered]
	rest == [object.remove(_answer(question), ["decisions"]) | some question in questions]
}

test_answer_numbers_only_where_it_is_asked_to if {
	question := {"claims": {}, "type": "devices", "resources": [_mine, _mine]}
	answers := [_answer(object.union(question, {"numbered": numbered})) | some numbered in [false, null, 1, "true", [], {}]]
	answers == [_answer(question) | some _ in answers]
	count(answers) == 6
}
