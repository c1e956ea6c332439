# METADATA
# title: Index
# scope: package
# description: >-
#   Read the index of the stored resources. A posting has the ids of all resources that have one member of
#   `custom_data` with one value. A short posting is one array; a long one is divided into pages. The rules read each by
#   its full path, because OPA copies a document that is assigned to a variable.
# custom:
#   rules: [R10, R11]
package jwt_policy.index

import data.jwt_policy.resource

# METADATA
# title: The posting of a member
# description: An object with its `shard` and its `name`. Equal values have the same posting; different values never do.
# custom:
#   rules: [R10, R11]
posting(name, value) := {"shard": shard, "name": concat("", ["p", substring(hash, 0, 40)])} if {
	# Versions of OPA differ in the characters that they escape.
	hash := crypto.sha256(strings.replace_n(_unescaped, json.marshal([name, value])))
	shard := concat("", ["s", substring(hash, 0, 2)])
}

# METADATA
# title: The posting of all ids
all_ids := {"shard": "", "name": "all"}

# METADATA
# title: The number of ids in a posting
size(type, posting_) := ids if {
	ids := count(small(type, posting_))
} else := ids if {
	generation := resource.current(type).generation
	ids := data.jwt_policy_data[type].generations[generation].large[posting_.name].size
} else := 0

# METADATA
# title: The ids of a short posting
small(type, posting_) := ids if {
	generation := resource.current(type).generation
	ids := data.jwt_policy_data[type].generations[generation].postings[posting_.shard][posting_.name]
}

# METADATA
# title: The number of pages of a posting
# description: Undefined where no resources were pushed.
length(type, posting_) := 1 if {
	small(type, posting_)
} else := pages if {
	generation := resource.current(type).generation
	pages := data.jwt_policy_data[type].generations[generation].large[posting_.name].length
} else := 0 if {
	resource.current(type)
}

# METADATA
# title: A page of a posting
# description: Its ids in the order of code points. The first page has the number 0.
page(type, posting_, number) := ids if {
	number == 0
	ids := small(type, posting_)
} else := ids if {
	generation := resource.current(type).generation
	ids := data.jwt_policy_data[type].generations[generation].large[posting_.name].pages[number]
}

# METADATA
# title: The number of the page of a long posting that an id belongs to
page_of(type, name, id) := (32 * block) + _position(firsts, id) if {
	generation := resource.current(type).generation
	tops := data.jwt_policy_data[type].generations[generation].large[name].tops
	block := _position(tops, id)
	firsts := data.jwt_policy_data[type].generations[generation].large[name].firsts[block]
}

# The position of the last one of these that does not come after the id. The first one of all is the empty string.
_position(firsts, id) := count([first | some first in firsts; first <= id]) - 1

_unescaped := {
	"\\\\": "\\\\", # an escaped backslash, which begins no other escape
	"\\u003c": "<",
	"\\u003e": ">",
	"\\u0026": "&",
	"\\u2028": "\u2028",
	"\\u2029": "\u2029",
	"\\u0008": "\\b",
	"\\u000c": "\\f",
}
