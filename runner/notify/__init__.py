"""Messages: who gets one, what it says, the outbox in which it waits, and the channels by which it goes.

May import records, config and template. The door: `notifier.Post`, `outbox.Outbox`, `delivery.flush`,
`policy.read_policy`, `config_alert`.
"""
