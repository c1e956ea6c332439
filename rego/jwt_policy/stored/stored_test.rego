# The data of tests: stored resources in the form that a push writes.
package jwt_policy.stored_test

import data.jwt_policy.index

# The document of a type with these resources, by id, without an index.
document(revision, resources) := {
	"state": {"layout": 1, "current": {
		"revision": revision, "generation": "g", "store": "tests", "count": count(resources),
	}},
	"generations": {"g": {"resources": object.union_n([{shard: {bucket: {id: value}}} |
		some id, value in resources
		hash := crypto.md5(id)
		shard := concat("", ["s", substring(hash, 0, 2)])
		bucket := concat("", ["b", substring(hash, 2, 2)])
	])}},
}

# The same document with an index.
indexed(revision, resources) := object.union(document(revision, resources), {"generations": {"g": {
	"postings": object.union_n([{posting.shard: {posting.name: ids}} |
		some posting in {posting | some [posting, _] in pairs}
		ids := sort([id | some [other, id] in pairs; other == posting])
	]),
	"large": {"all": {
		"size": count(resources), "length": 1, "tops": [""], "firsts": [[""]],
		"pages": [sort(object.keys(resources))],
	}},
}}}) if {
	pairs := [[posting, id] |
		some id, resource in resources
		some name, value in resource.custom_data
		posting := index.posting(name, value)
	]
}
