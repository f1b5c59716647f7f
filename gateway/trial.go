package gateway

import "time"

// PluginTrial asks what a plugin would decide about a message.
type PluginTrial struct {
	Hook    Hook
	Version string    // see Plugin.Find; "": the active one
	Event   EventType // what it is told of at HookEvent; "": that the message was received
}

// PluginOutcome is what came of it. Nothing was kept.
type PluginOutcome struct {
	Version   PluginVersion
	Verdict   Verdict // of its failure policy, if it failed
	Reason    string  // of the verdict, in the plugin's words
	Failure   string  // why it failed; "" if it did not
	Lines     []PluginLine
	Writes    []PluginWrite // what it would have remembered
	Sends     []Intent      // and sent, beside the reply of the verdict
	Took      time.Duration // of the call alone
	HostCalls int64         // imports that it used
	Fuel      int64         // what it paid for its instructions, of limits.plugin_fuel
	Memory    int64         // what it had at the end, in bytes
}
