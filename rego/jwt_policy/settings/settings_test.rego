package jwt_policy.settings_test

import data.jwt_policy.settings

test_the_policy_lies_in_the_claim_policy if settings.claim == "policy"

test_the_types_are_devices_and_sessions if settings.types == {"devices", "sessions"}

test_a_token_without_a_policy_is_not_limited if settings.require_policy == false

test_version_two_alone_is_valid if settings.versions == {2}

test_the_fingerprint_is_a_hash if regex.match(`^[0-9a-f]{64}$`, settings.fingerprint)
