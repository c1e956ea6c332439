# METADATA
# title: Store
# description: What is stored that a change of some resources has to do with.
package jwt_policy.store

import data.jwt_policy.index
import data.jwt_policy.resource

# METADATA
# title: What a change must know
# description: >-
#   Each of the changes has an `id`, its `shard` and `bucket`, and the `postings` that the resource is to be in, none
#   where it is to be removed. An object with the buckets, the digests of their shards, and, of the postings that an id
#   comes to or goes from, the short ones whole, and of the long ones the size, and the page that each id belongs on.
view(type, changes) := {
	"buckets": {concat("/", [change.shard, change.bucket]): _bucket(type, change.shard, change.bucket) |
		some change in changes
	},
	"digests": {change.shard: data.jwt_policy_data[type].generations[generation].digests[change.shard] |
		some change in changes
	},
	"small": {posting.name: index.small(type, posting) | some posting in postings},
	"large": {posting.name: {"size": index.size(type, posting), "places": places, "pages": pages} |
		some posting in postings
		not index.small(type, posting)
		index.length(type, posting) > 0
		places := {id: format_int(index.page_of(type, posting.name, id), 10) |
			some id, others in touched
			posting in others
		}
		pages := {number: index.page(type, posting, to_number(number)) | some _, number in places}
	},
} if {
	generation := resource.current(type).generation
	touched := {change.id: _touched(type, change) | some change in changes}
	postings := union({others | some others in touched})
}

_bucket(type, shard, bucket) := data.jwt_policy_data[type].generations[generation].resources[shard][bucket] if {
	generation := resource.current(type).generation
} else := {}

_touched(type, change) := (before | after) - (before & after) if {
	before := _before(type, change.id)
	after := {posting | some posting in change.postings}
}

_before(type, id) := {index.all_ids} | postings if {
	stored := resource.stored(type, id).resource
	postings := {index.posting(name, value) | some name, value in object.get(stored, "custom_data", {})}
} else := set()
