# The nonce, by which a client recognizes the answer to its request.
package jwt_policy_test

import data.jwt_policy

_nonces := ["6b1f", "", null, false, 0, [], {}, {"a": [1]}]

_with_nonce(question, nonce) := object.union(question, {"nonce": nonce})

test_answer_has_the_nonce_of_the_input_whatever_it_is if {
	questions := [
		{"claims": _claims, "type": "devices", "resource": _mine},
		{"claims": _claims, "type": "devices", "resources": [_mine, _theirs], "numbered": true},
		{"claims": _claims, "type": "devices", "ids": ["device1", "device4"]},
		{"claims": _claims, "type": "devices", "id": "device2", "explain": true},
		{"requests": [{"claims": {}, "type": "devices", "resource": _mine}, null]},
		{},
	]
	every question in questions {
		every nonce in _nonces {
			_answer(_with_nonce(question, nonce)) == object.union(_answer(question), {"nonce": nonce})
		}
	}
	every question in questions {
		not "nonce" in object.keys(_answer(question))
	}
}

test_answer_has_no_nonce_where_the_input_is_no_object if {
	every question in [null, false, "nonce", ["nonce"], 7] {
		object.keys(_answer(question)) == {"fingerprint", "decisions", "current"}
	}
}

test_a_nonce_within_a_request_is_none if {
	question := {"requests": [{"claims": {}, "type": "devices", "resource": _mine, "nonce": "a"}]}
	object.keys(_answer(question)) == {"fingerprint", "decisions", "current"}
}

test_list_has_the_nonce_of_the_input if {
	every question in [{"claims": _claims, "type": "devices"}, {"claims": {}, "type": "users"}, {}] {
		every nonce in _nonces {
			request := object.union(_list_request, question)
			_list(_with_nonce(request, nonce)) == object.union(_list(request), {"nonce": nonce})
			not "nonce" in object.keys(_list(request))
		}
	}
}

test_stored_view_has_the_nonce_of_the_input if {
	every question in [{"type": "devices", "changes": []}, {}] {
		every nonce in _nonces {
			request := _with_nonce(question, nonce)
			view := jwt_policy.stored_view with input as request with data.jwt_policy_data as _stored
			without := jwt_policy.stored_view with input as question with data.jwt_policy_data as _stored
			view == object.union(without, {"nonce": nonce})
			not "nonce" in object.keys(without)
		}
	}
}

test_the_public_entrypoints_have_no_nonce if {
	question := {"claims": _claims, "type": "devices", "resource": _mine, "nonce": "a"}
	decided := jwt_policy.decision with input as question with data.jwt_policy_data as _stored
	decided == _matched
}
