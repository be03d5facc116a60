"""Residual blocking: after a match, later connections between the same two hosts suffer until a timer runs out.

`residual_s` is the timer, `residual_scope` is "ip" or "ip_port" (default), `residual_renew` lets a caught connection start the
timer anew.
"""


class Residual:
    def __init__(self, rule):
        self.seconds = rule.get("residual_s") or 0
        self.with_port = rule.get("residual_scope", "ip_port") == "ip_port"
        self.renew = bool(rule.get("residual_renew"))
        self.timers = {}

    def key(self, flow):
        return (flow.outside[0], flow.server_ip) + ((flow.server_port,) if self.with_port else ())

    def start(self, flow, now):
        if not self.seconds:
            return
        since, until = self.timers.get(self.key(flow), (now, 0.0))
        if until <= now:
            self.timers[self.key(flow)] = (now, now + self.seconds)
        elif self.renew:
            self.timers[self.key(flow)] = (since, now + self.seconds)

    def active(self, flow, now):
        """Only for connections that began after the match."""
        since, until = self.timers.get(self.key(flow), (0.0, 0.0))
        return since < flow.started and now < until
