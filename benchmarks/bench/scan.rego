# The ids of the devices that a policy allows, by looking at each device, as OPA's documentation shows it.
package scan

visible contains id if {
	some id, device in data.plain.devices
	device.custom_data.user_id == input.claims.policy.devices.custom_data.user_id
}
