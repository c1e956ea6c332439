package jwt_policy.grant_test

import data.jwt_policy.grant
import data.jwt_policy.settings

_malformed := {"denial": {"allow": false, "reason": "malformed_input"}}

_unknown_type := {"denial": {"allow": false, "reason": "unknown_type"}}

_unrestricted := {"decision": {"allow": true, "reason": "unrestricted"}}

_not_granted := {"decision": {"allow": false, "reason": "type_not_granted"}}

test_claims_must_be_an_object if {
	values := [null, false, true, 0, "", "{}", [], [{}]]
	[grant.for_claims(value, "devices") | some value in values] == [_malformed | some _ in values]
}

test_the_type_must_be_a_string if {
	values := [null, false, true, 0, 7, [], ["devices"], {}, {"devices": "devices"}]
	[grant.for_claims({}, value) | some value in values] == [_malformed | some _ in values]
}

test_malformed_claims_come_before_the_type if grant.for_claims(null, "users") == _malformed

# R1

test_an_unknown_type_grants_nothing if {
	types := ["", "users", "Devices", "device", "devices ", "version", "policy"]
	[grant.for_claims({}, type) | some type in types] == [_unknown_type | some _ in types]
}

test_every_known_type_is_looked_at if {
	grant.for_claims({}, "devices") == _unrestricted
	grant.for_claims({}, "sessions") == _unrestricted
}

test_the_type_comes_before_the_policy if {
	grant.for_claims({"policy": null}, "users") == _unknown_type
	grant.for_claims({"policy": {"version": 2, "users": {}}}, "users") == _unknown_type
}

# R3

test_claims_without_a_policy_are_not_limited if {
	claims := {"sub": "a", "Policy": {"version": 2}, "policies": null, "policy ": 0}
	grant.for_claims(claims, "devices") == _unrestricted
}

test_claims_without_a_policy_are_denied_where_one_is_required if {
	granted := grant.for_claims({}, "devices") with settings.require_policy as true
	granted == {"decision": {"allow": false, "reason": "policy_required"}}
}

test_claims_without_a_policy_are_denied_unless_the_setting_is_false if {
	every setting in [null, "false", 0, [], {}] {
		granted := grant.for_claims({}, "devices") with settings.require_policy as setting
		granted == {"decision": {"allow": false, "reason": "policy_required"}}
	}
}

test_a_required_policy_is_granted_like_any_other if {
	claims := {"policy": {"version": 2, "devices": {}}}
	granted := grant.for_claims(claims, "devices") with settings.require_policy as true
	granted == {"description": {}}
}

test_a_policy_of_null_is_a_policy if {
	grant.for_claims({"policy": null}, "devices") == {"decision": {
		"allow": false,
		"reason": "invalid_policy",
		"violations": [{"pointer": "", "code": "not_an_object"}],
	}}
}

test_a_policy_of_false_is_a_policy if {
	grant.for_claims({"policy": false}, "sessions") == {"decision": {
		"allow": false,
		"reason": "invalid_policy",
		"violations": [{"pointer": "", "code": "not_an_object"}],
	}}
}

test_the_claim_has_the_name_of_the_settings if {
	claims := {"https://acme.example/policy": {"version": 2, "devices": {}}}
	granted := grant.for_claims(claims, "devices") with settings.claim as "https://acme.example/policy"
	granted == {"description": {}}
}

test_a_claim_of_another_name_is_not_the_policy if {
	granted := grant.for_claims({"policy": null}, "devices") with settings.claim as "https://acme.example/policy"
	granted == _unrestricted
}

# R4

test_an_invalid_policy_grants_no_type_whichever_is_broken if {
	claims := {"policy": {"version": 2, "devices": {}, "sessions": []}}
	denied := {"decision": {
		"allow": false,
		"reason": "invalid_policy",
		"violations": [{"pointer": "/sessions", "code": "not_an_object"}],
	}}
	grant.for_claims(claims, "devices") == denied
	grant.for_claims(claims, "sessions") == denied
}

test_an_invalid_policy_comes_before_a_type_not_granted if {
	grant.for_claims({"policy": {"version": 3}}, "devices") == {"decision": {
		"allow": false,
		"reason": "invalid_policy",
		"violations": [{"pointer": "/version", "code": "version_unsupported"}],
	}}
}

# R5

test_a_type_without_a_description_is_not_granted if {
	claims := {"policy": {"version": 2, "sessions": {}}}
	grant.for_claims(claims, "devices") == _not_granted
	grant.for_claims(claims, "sessions") == {"description": {}}
}

test_an_empty_policy_grants_no_type if {
	grant.for_claims({"policy": {"version": 2}}, "devices") == _not_granted
	grant.for_claims({"policy": {"version": 2}}, "sessions") == _not_granted
}

test_a_description_is_the_one_of_the_type_asked if {
	claims := {"policy": {"version": 2, "devices": {"id": "a"}, "sessions": {"custom_data": {"b": 1}}}}
	grant.for_claims(claims, "devices") == {"description": {"id": "a"}}
	grant.for_claims(claims, "sessions") == {"description": {"custom_data": {"b": 1}}}
}
