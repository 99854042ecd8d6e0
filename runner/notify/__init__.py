"""Messages: who gets one, what it says, the outbox in which it waits, and the channels that send it.

May import records, config and template. The door: `notifier.Notifier`, `outbox.Outbox`, `delivery.flush`,
`policy.read_policy`, `last_good`, `config_alert`.
"""
