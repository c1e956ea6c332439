package jwt_policy_test

import data.jwt_policy
import data.jwt_policy.constraint
import data.jwt_policy.grant
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

# Inputs that are no request.
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
	result := [_decide({"claims": {}, "type": "devices", "resource": resource}) | some resource in resources]
	result == [_invalid_resource | some _ in resources]
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
	result := [_decide({"claims": {}, "type": "devices", "id": id}) | some id in ids]
	result == [_unknown_resource | some _ in ids]
}

test_r2_stored_value_that_is_no_resource_is_invalid if {
	ids := ["device3", "array", "false", "null"]
	result := [_decide({"claims": {}, "type": "devices", "id": id}) | some id in ids]
	result == [_invalid_resource | some _ in ids]
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
		with settings.require_policy as true
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

mock_failures(_, _) := ["failure"]

test_r7_whether_all_holds_is_asked_before_what_fails if {
	decided := jwt_policy.decision with input as {"claims": _claims, "type": "devices", "resource": _mine}
		with constraint.failures as mock_failures
	decided == _matched
}

# Every access is denied, should a grant have no member.

mock_grant(_, _) := {}

test_grant_that_says_nothing_denies if {
	decided := jwt_policy.decision with input as {"claims": {}, "type": "devices", "resource": _mine}
		with grant.for_claims as mock_grant
	decided == _malformed
}

test_grant_that_says_nothing_denies_each_item if {
	decided := jwt_policy.decisions with input as {"claims": {}, "type": "devices", "resources": [_mine, _mine]}
		with grant.for_claims as mock_grant
	decided == [_malformed, _malformed]
}

# allow

test_allow_is_what_the_decision_says if {
	_allow({"claims": _claims, "type": "devices", "resource": _mine}) == true
	_allow({"claims": _claims, "type": "devices", "resource": _theirs}) == false
	_allow({"claims": _claims, "type": "devices", "id": "device1"}) == true
	_allow({"claims": _claims, "type": "devices", "id": "device2"}) == false
}
