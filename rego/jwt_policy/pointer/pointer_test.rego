package jwt_policy.pointer_test

import data.jwt_policy.pointer

test_no_names_is_the_whole_document if pointer.from_names([]) == ""

test_each_name_is_a_step if pointer.from_names(["custom_data", "user_id"]) == "/custom_data/user_id"

test_names_keep_their_order if pointer.from_names(["b", "a", "b"]) == "/b/a/b"

test_an_empty_name_is_a_step if pointer.from_names(["", ""]) == "//"

test_a_tilde_is_escaped if pointer.from_names(["a~b~"]) == "/a~0b~0"

test_a_slash_is_escaped if pointer.from_names(["a/b/"]) == "/a~1b~1"

test_what_looks_escaped_is_escaped_again if pointer.from_names(["~0", "~1"]) == "/~00/~01"

test_a_tilde_before_a_slash_stays_two if pointer.from_names(["~/"]) == "/~0~1"

test_what_is_escaped_may_stand_at_both_ends_and_in_a_row if {
	pointer.from_names(["~~//~", "/", "~"]) == "/~0~0~1~1~0/~1/~0"
}

test_other_characters_stay_as_they_are if pointer.from_names(["é %\"\\."]) == "/é %\"\\."
