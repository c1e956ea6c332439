# METADATA
# title: Index
# description: >-
#   Where the ids of all resources lie that have one member of `custom_data` with one value: a posting. Short ones are
#   arrays, longer ones stand in pages. Each is read by its full path, for a document that is given a name is copied.
# custom:
#   rules: [R10, R11]
package jwt_policy.index

import data.jwt_policy.resource

# METADATA
# title: A posting
# description: Its shard and its name, which are the same for equal values, and for no others.
# custom:
#   rules: [R10, R11]
posting(name, value) := {"shard": shard, "name": concat("", ["p", substring(hash, 0, 40)])} if {
	# Versions of OPA differ in what they write as `\u`.
	hash := crypto.sha256(strings.replace_n(_written, json.marshal([name, value])))
	shard := concat("", ["s", substring(hash, 0, 2)])
}

# METADATA
# title: All ids
# description: The posting that every resource is in.
all_ids := {"shard": "", "name": "all"}

# METADATA
# title: How many ids are in a posting
size(type, posting_) := size_ if {
	size_ := count(small(type, posting_))
} else := data.jwt_policy_data[type].generations[generation].large[posting_.name].size if {
	generation := resource.current(type).generation
} else := 0

# METADATA
# title: The ids of a short posting
small(type, posting_) := ids if {
	generation := resource.current(type).generation
	ids := data.jwt_policy_data[type].generations[generation].postings[posting_.shard][posting_.name]
}

# METADATA
# title: How many pages a posting has
# description: Undefined where nothing was ever pushed.
length(type, posting_) := 1 if {
	small(type, posting_)
} else := data.jwt_policy_data[type].generations[generation].large[posting_.name].length if {
	generation := resource.current(type).generation
} else := 0 if {
	resource.current(type)
}

# METADATA
# title: A page of a posting
# description: Its ids in the order of code points; the first page is 0.
page(type, posting_, number) := ids if {
	number == 0
	ids := small(type, posting_)
} else := data.jwt_policy_data[type].generations[generation].large[posting_.name].pages[number] if {
	generation := resource.current(type).generation
}

# METADATA
# title: The number of the page of a long posting that an id belongs on
page_of(type, name, id) := (32 * block) + _place(firsts, id) if {
	generation := resource.current(type).generation
	tops := data.jwt_policy_data[type].generations[generation].large[name].tops
	block := _place(tops, id)
	firsts := data.jwt_policy_data[type].generations[generation].large[name].firsts[block]
}

# Where the last one of these is that is not behind the id; the very first is the empty string.
_place(firsts, id) := count([first | some first in firsts; first <= id]) - 1

_written := {
	"\\\\": "\\\\", # a backslash of the string's own, which begins no escape
	"\\u003c": "<",
	"\\u003e": ">",
	"\\u0026": "&",
	"\\u2028": "\u2028",
	"\\u2029": "\u2029",
	"\\u0008": "\\b",
	"\\u000c": "\\f",
}
