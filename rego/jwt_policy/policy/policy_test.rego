package jwt_policy.policy_test

import data.jwt_policy.policy
import data.jwt_policy.settings

_version_missing := [{"pointer": "/version", "code": "version_missing"}]

_version_unsupported := [{"pointer": "/version", "code": "version_unsupported"}]

# R8.1

test_a_claim_that_is_no_object_is_the_only_violation if {
	claims := [null, false, true, 0, 2, "", "version", [], ["version"], [{"version": 2}]]
	result := [policy.violations(claim) | some claim in claims]
	result == [[{"pointer": "", "code": "not_an_object"}] | some _ in claims]
}

test_an_empty_policy_is_valid if policy.violations({"version": 2}) == []

# R8.2

test_a_policy_needs_a_version if policy.violations({}) == _version_missing

test_a_policy_with_a_description_needs_a_version if policy.violations({"devices": {}}) == _version_missing

test_no_other_spelling_is_the_version if {
	policy.violations({"Version": 2}) == [
		{"pointer": "/Version", "code": "unknown_resource_type"},
		{"pointer": "/version", "code": "version_missing"},
	]
}

# R8.3

test_two_point_zero_is_two if policy.violations({"version": 2.0}) == []

test_two_with_an_exponent_is_two if policy.violations({"version": 20e-1}) == []

test_no_other_number_is_supported if {
	versions := [0, 1, 3, -2, 2.5, 1.9999999999999999, 22, 2e1]
	result := [policy.violations({"version": version}) | some version in versions]
	result == [_version_unsupported | some _ in versions]
}

test_what_is_no_number_is_not_supported if {
	versions := [null, false, true, "", "2", "2.0", [], [2], {}, {"version": 2}]
	result := [policy.violations({"version": version}) | some version in versions]
	result == [_version_unsupported | some _ in versions]
}

# R8.4

test_every_known_type_may_be_there if policy.violations({"version": 2, "devices": {}, "sessions": {}}) == []

test_an_unknown_type_is_a_violation_whatever_it_holds if {
	values := [null, false, {}, {"id": "a"}, {"id": 1}, []]
	result := [policy.violations({"version": 2, "users": value}) | some value in values]
	result == [[{"pointer": "/users", "code": "unknown_resource_type"}] | some _ in values]
}

test_what_an_unknown_type_holds_is_no_violation_of_its_own if {
	values := [{"custom_data": 1}, {"custom_data": null, "id": 1}, {"user_id": "a"}, 1]
	result := [policy.violations({"version": 2, "users": value}) | some value in values]
	result == [[{"pointer": "/users", "code": "unknown_resource_type"}] | some _ in values]
}

test_a_type_has_one_spelling if {
	policy.violations({"version": 2, "Devices": {}, "device": {}, "devices ": {}, "sessions/": {}, "": {}}) == [
		{"pointer": "/", "code": "unknown_resource_type"},
		{"pointer": "/Devices", "code": "unknown_resource_type"},
		{"pointer": "/device", "code": "unknown_resource_type"},
		{"pointer": "/devices ", "code": "unknown_resource_type"},
		{"pointer": "/sessions~1", "code": "unknown_resource_type"},
	]
}

# Versions

_versions_of_the_claim(versions) := [version |
	some version in [1, 2, 3, 4]
	policy.violations({"version": version}) == [] with settings.versions as versions
]

test_the_versions_are_a_setting if {
	_versions_of_the_claim({2}) == [2]
	_versions_of_the_claim({3}) == [3]
	_versions_of_the_claim({2, 3}) == [2, 3]
}

test_three_may_be_written_otherwise if {
	policy.violations({"version": 3.0, "push": {}}) == [] with settings.versions as {2, 3}
	policy.violations({"version": 30e-1, "push": {}}) == [] with settings.versions as {2, 3}
}

_other := {"push": {"id": 1}, "features": {"x": []}}

_unknown := [
	{"pointer": "/features", "code": "unknown_resource_type"},
	{"pointer": "/push", "code": "unknown_resource_type"},
]

test_push_and_features_may_stand_in_version_three if {
	claim := object.union(_other, {"version": 3})
	policy.violations(claim) == [] with settings.versions as {3}
	policy.violations(claim) == [] with settings.versions as {2, 3}
	policy.violations(claim) == array.concat(_unknown, _version_unsupported)
}

test_push_and_features_are_unknown_in_version_two if {
	claim := object.union(_other, {"version": 2})
	policy.violations(claim) == _unknown
	policy.violations(claim) == _unknown with settings.versions as {2, 3}
	policy.violations(claim) == array.concat(_unknown, _version_unsupported) with settings.versions as {3}
}

test_push_and_features_are_unknown_without_a_version if {
	policy.violations(_other) == array.concat(_unknown, _version_missing) with settings.versions as {2, 3}
}

test_push_and_features_must_be_objects if {
	values := [null, false, true, 0, "", "{}", [], [{}]]
	result := [broken |
		some value in values
		broken := policy.violations({"version": 3, "push": value, "features": value}) with settings.versions as {2, 3}
	]
	result == [[{"pointer": "/features", "code": "not_an_object"}, {"pointer": "/push", "code": "not_an_object"}] |
		some _ in values
	]
}

test_a_configured_type_of_that_name_is_one if {
	result := policy.violations({"version": 3, "push": {"a": 1}, "features": {"a": 1}}) with settings.versions as {2, 3}
		with settings.types as {"push"}
	result == [{"pointer": "/push/a", "code": "unknown_field"}]
}

test_nothing_else_may_stand_in_version_three if {
	claim := {"version": 3, "Push": {}, "*": {}, "role": "a", "devices": {"permissions": []}}
	policy.violations(claim) == [
		{"pointer": "/*", "code": "unknown_resource_type"},
		{"pointer": "/Push", "code": "unknown_resource_type"},
		{"pointer": "/devices/permissions", "code": "unknown_field"},
		{"pointer": "/role", "code": "unknown_resource_type"},
	] with settings.versions as {2, 3}
}

# R8.5

test_a_description_must_be_an_object if {
	values := [null, false, true, 0, "", "id", [], [{}], ["id"]]
	result := [policy.violations({"version": 2, "devices": value}) | some value in values]
	result == [[{"pointer": "/devices", "code": "not_an_object"}] | some _ in values]
}

test_the_description_of_each_type_is_looked_at if {
	policy.violations({"version": 2, "devices": {}, "sessions": []}) == [{"pointer": "/sessions", "code": "not_an_object"}]
}

# R8.6

test_a_description_may_have_both_members if {
	policy.violations({"version": 2, "devices": {"id": "a", "custom_data": {"b": null}}}) == []
}

test_every_other_member_is_a_violation if {
	policy.violations({"version": 2, "devices": {"user_id": "a", "ID": "b", "a~/b": {}, "version": 2}}) == [
		{"pointer": "/devices/ID", "code": "unknown_field"},
		{"pointer": "/devices/a~0~1b", "code": "unknown_field"},
		{"pointer": "/devices/user_id", "code": "unknown_field"},
		{"pointer": "/devices/version", "code": "unknown_field"},
	]
}

test_members_inside_custom_data_are_free if {
	policy.violations({"version": 2, "sessions": {"custom_data": {"id": 1, "custom_data": 2, "x": {"y": []}}}}) == []
}

# R8.7

test_an_id_may_be_any_string if {
	policy.violations({"version": 2, "devices": {"id": ""}, "sessions": {"id": "a/b"}}) == []
}

test_an_id_must_be_a_string if {
	ids := [null, false, true, 0, 1.5, [], ["a"], {}]
	result := [policy.violations({"version": 2, "devices": {"id": id}}) | some id in ids]
	result == [[{"pointer": "/devices/id", "code": "not_a_string"}] | some _ in ids]
}

# R8.8

test_custom_data_may_be_empty if policy.violations({"version": 2, "devices": {"custom_data": {}}}) == []

test_custom_data_must_be_an_object if {
	values := [null, false, true, 0, "", "{}", [], [{}]]
	result := [policy.violations({"version": 2, "sessions": {"custom_data": value}}) | some value in values]
	result == [[{"pointer": "/sessions/custom_data", "code": "not_an_object"}] | some _ in values]
}

# All of them

test_every_violation_is_reported_in_order if {
	policy.violations({
		"version": "2",
		"users": {},
		"devices": {"id": null, "custom_data": [], "user_id": "a"},
		"sessions": "all",
	}) == [
		{"pointer": "/devices/custom_data", "code": "not_an_object"},
		{"pointer": "/devices/id", "code": "not_a_string"},
		{"pointer": "/devices/user_id", "code": "unknown_field"},
		{"pointer": "/sessions", "code": "not_an_object"},
		{"pointer": "/users", "code": "unknown_resource_type"},
		{"pointer": "/version", "code": "version_unsupported"},
	]
}

test_pointers_are_sorted_by_the_code_points_they_are_written_with if {
	names := ["é", "a", "a~b", "Z", "a/b", "😀", "a1", "a0", "｡"]
	claim := object.union({"version": 2}, {name: {} | some name in names})
	result := [violation.pointer | some violation in policy.violations(claim)]
	result == ["/Z", "/a", "/a0", "/a1", "/a~0b", "/a~1b", "/é", "/｡", "/😀"]
}
