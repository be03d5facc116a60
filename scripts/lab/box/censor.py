"""The censor: every packet at the box in, its fate out. Writes what it does into the log.

A fate is PASS, DROP, Delay(seconds) or Instead(packet, words for the log).
"""
import collections

from . import names, packets
from .forge import Forger
from .match import Matcher
from .packets import ACK, FIN, RST
from .residual import Residual
from .rule import DNS, RESETS, Rule

PASS, DROP = "pass", "drop"
Delay = collections.namedtuple("Delay", "seconds")
Instead = collections.namedtuple("Instead", "packet words")
AGAIN = 3  # how often a retransmitted trigger is answered


class Censor:
    def __init__(self, scene, box):
        self.rule = Rule(scene["censor"])
        self.box, self.random = box, box.random
        self.matcher = Matcher(self.rule, scene)
        self.forger = Forger(self.rule, box.random, box.hops_of)
        self.residual = Residual(self.rule)
        self.act = getattr(self, "do_" + self.rule.action)

    def judge(self, flow, packet, direction, now):
        active = self.rule.active(self.box.seconds(now))
        if self.rule.action in DNS and flow.protocol == "udp":
            return self.judge_query(flow, packet, direction, now, active)
        if flow.state != "hit" and self.residual.active(flow, now):
            return self.do_residual(flow, packet, direction, now)
        if flow.state is None and self.matcher.triggers(flow, packet, direction, self.box.wish(flow)):
            self.hit(flow, packet, now, active)
            if flow.state == "hit":
                return self.act(flow, packet, direction, now, True)
        elif flow.state == "hit" and (active or flow.mitm):
            return self.act(flow, packet, direction, now, False)
        return PASS

    def hit(self, flow, packet, now, active):
        if not active:
            # What was let through is not looked at again, but a later SYN of the same connection is.
            flow.state = None if packet.is_syn else "free"
        elif self.random.random() < self.rule.misses:
            flow.state = "missed"
            self.note("missed", flow, now)
        else:
            flow.state, flow.trigger, flow.hit_at = "hit", packet, now
            self.note("matched", flow, now)
            self.residual.start(flow, now)

    def note(self, event, flow, now):
        self.box.log.row(event, flow, now, rule=self.rule.name, trigger=self.rule.trigger,
                         action=self.rule.action, name=flow.marks.get("name"))

    def words(self, **more):
        return dict(rule=self.rule.name, trigger=self.rule.trigger, **more)

    def drop(self, flow, packet, direction, now):
        self.box.log.packet("dropped", flow, packet, direction, now, **self.words())
        return DROP

    def drop_on_way(self, flow, packet, direction, now):
        return self.drop(flow, packet, direction, now) if self.rule.on_way(direction) else PASS

    def inject(self, flow, forged, to, delay, event="injected", **more):
        self.box.inject(flow, forged, to, delay, event, self.words(to=to, **more))

    def answer_delay(self, flow):
        return self.rule.draw(flow, "delay_ms", 0.5, self.random) / 1000

    def inject_resets(self, flow, trigger):
        for to in ("client", "server"):
            if not self.rule.goes_to(to):
                continue
            delay = self.answer_delay(flow)
            for forged in self.forger.resets(flow, trigger, to):
                self.inject(flow, forged, to, delay)
                delay += self.random.uniform(0.00005, 0.0003)

    def repeats_trigger(self, flow, packet, direction):
        """A retransmission of the trigger (or a part of it)."""
        if direction != "c2s" or flow.answered >= AGAIN:
            return False
        if flow.trigger.is_syn:
            return packet.is_syn
        return bool(packet.payload) and packets.after(packet.seq, flow.trigger.end) < 0

    # Resets

    def do_rst(self, flow, packet, direction, now, first):
        if not first and not self.repeats_trigger(flow, packet, direction):
            return PASS
        flow.answered += 1
        self.inject_resets(flow, packet)
        return self.drop(flow, packet, direction, now) if self.rule.swallow else PASS

    do_syn_rst = do_rst

    def do_rewrite(self, flow, packet, direction, now, first):
        """Segments with data become resets: the server's, or with `to` "server" the client's.

        With "both" the server's do, and the first of them also costs the server a forged reset: the client, once
        reset, sends nothing that could be rewritten.
        """
        if not packet.payload or direction != ("c2s" if self.rule.to == "server" else "s2c"):
            return PASS
        if self.rule.to == "both" and not flow.answered:
            flow.answered = 1
            for forged in self.forger.resets(flow, flow.trigger, "server"):
                self.inject(flow, forged, "server", self.answer_delay(flow))
        return self.reset_instead(packet, "server" if direction == "c2s" else "client", flow)

    def reset_instead(self, packet, to, flow):
        flags = packets.flag_bits(self.rule.get("flags", "RA")) | RST
        window = self.forger.window(flow, to) if self.rule.get("window") else None
        reset = packets.to_reset(packet, flags, self.rule.get("options", True), window)
        was = packets.flag_letters(packet.flags)
        return Instead(reset, self.words(to=to, was_len=len(packet.payload), was_flags=was))

    def do_residual(self, flow, packet, direction, now):
        if not flow.residual:
            flow.residual = True
            self.note("residual", flow, now)
            self.residual.start(flow, now)
        how = self.rule.get("residual_action", "rst" if self.rule.action in RESETS else "drop")
        if how == "drop" or flow.protocol != "tcp":
            return self.drop(flow, packet, direction, now) if self.rule.way in ("both", direction) else PASS
        if direction == "c2s" and not packet.flags & RST and not packet.is_syn and flow.answered < AGAIN:
            flow.answered += 1
            self.inject_resets(flow, packet)
        return PASS

    # Drops

    def do_drop_hello(self, flow, packet, direction, now, first):
        return self.drop_on_way(flow, packet, direction, now)

    do_first_payload_drop = do_http_drop = do_quic_drop = do_stun_drop = do_syn_drop = do_drop_s2c = do_drop_hello
    do_dns_drop = do_dns_forge = do_dns_nxdomain = do_dns_refuse = do_drop_hello  # questions over TCP

    def do_drop_after_ack(self, flow, packet, direction, now, first):
        """The hello and the server's acknowledgement of it pass, whatever comes with or after it does not."""
        if flow.hello_acked:
            return self.drop_on_way(flow, packet, direction, now)
        if direction == "c2s":
            return PASS
        if packet.payload and self.rule.on_way("s2c"):
            return self.drop(flow, packet, direction, now)
        if packets.after(packet.ack, flow.trigger.end) >= 0:
            flow.hello_acked = True
        return PASS

    def do_drop_after_packets(self, flow, packet, direction, now, first):
        flow.packets_after += not first
        if flow.packets_after <= self.rule.draw(flow, "packets", 6, self.random):
            return PASS
        return self.drop_on_way(flow, packet, direction, now)

    def do_drop_after_bytes(self, flow, packet, direction, now, first):
        counted = flow.sides["c2s" if self.rule.way == "c2s" else "s2c"].bytes
        flow.cut = flow.cut or counted > self.rule.draw(flow, "bytes", 16000, self.random)
        return self.drop_on_way(flow, packet, direction, now) if flow.cut else PASS

    def do_media_cut(self, flow, packet, direction, now, first):
        """After so many packets, or seconds (`after_s`)."""
        flow.packets_after += 1
        late = self.rule.get("after_s")
        over = now - flow.hit_at > late if late is not None else (
            flow.packets_after > self.rule.draw(flow, "packets", 100, self.random))
        return self.drop_on_way(flow, packet, direction, now) if over else PASS

    def do_icmp(self, flow, packet, direction, now, first):
        if direction != "c2s" or not (first or packet.is_syn or packet.payload):
            return PASS
        self.inject(flow, self.forger.unreachable(flow, packet), "client", self.answer_delay(flow), "icmp")
        return self.drop(flow, packet, direction, now) if self.rule.swallow else PASS

    # Slowing

    def do_police(self, flow, packet, direction, now, first):
        """Token bucket of `burst` bytes for each direction."""
        if not self.rule.on_way(direction):
            return PASS
        burst, rate = self.rule.get("burst", 16000), self.rule.get("rate_kbps", 150) * 125
        tokens, then = flow.buckets.get(direction, (burst, now))
        tokens = min(burst, tokens + (now - then) * rate)
        fits = len(packet.raw) <= tokens
        flow.buckets[direction] = (tokens - len(packet.raw) if fits else tokens, now)
        return PASS if fits else self.drop(flow, packet, direction, now)

    def do_shape(self, flow, packet, direction, now, first):
        """Queue of `burst` bytes for each direction, emptied at the rate."""
        if not self.rule.on_way(direction):
            return PASS
        room, rate = self.rule.get("burst", 64000), self.rule.get("rate_kbps", 150) * 125
        free_at = max(now, flow.buckets.get(direction, 0.0))
        if (free_at - now) * rate > room:
            return self.drop(flow, packet, direction, now)
        flow.buckets[direction] = free_at + len(packet.raw) / rate
        wait = flow.buckets[direction] - now
        self.box.log.packet("delayed", flow, packet, direction, now, **self.words(delay_ms=round(wait * 1000, 3)))
        return Delay(wait)

    def do_random_loss(self, flow, packet, direction, now, first):
        lost = self.rule.on_way(direction) and self.random.random() < self.rule.get("loss", 0.1)
        return self.drop(flow, packet, direction, now) if lost else PASS

    # False answers

    def do_http_page(self, flow, packet, direction, now, first):
        """Answers as the server, resets the server if `to` says so, and plays the server's end of the close."""
        if first:
            self.inject(flow, self.forger.answer_page(flow, packet), "client", self.answer_delay(flow))
            if self.rule.goes_to("server"):
                for forged in self.forger.resets(flow, packet, "server"):
                    self.inject(flow, forged, "server", self.answer_delay(flow))
        elif self.rule.swallow and direction == "c2s" and packet.flags & FIN:
            last = self.forger.segment(flow, "client", packet.ack, packet.end, ACK)
            self.inject(flow, last, "client", 0.0002)
        return self.drop(flow, packet, direction, now) if self.rule.swallow else PASS

    do_http_redirect = do_http_page

    def do_mitm(self, flow, packet, direction, now, first):
        """The connection goes to another server; to the client it looks as if the right one answered."""
        address = self.rule.get("mitm_ip")
        flow.mitm = address
        self.box.flows.alias(flow, address)
        changed = packets.parse(packet.raw)
        if direction == "c2s":
            changed.readdress(target=address)
        else:
            changed.readdress(source=flow.server_ip)
        return Instead(changed, self.words(mitm_ip=address))

    # DNS over UDP: each question is judged for itself

    def judge_query(self, flow, packet, direction, now, active):
        question = names.dns_question(packet.payload)
        if not question or not self.matcher.in_scope(flow):
            return PASS
        mark = question[:3]
        if direction == "s2c":
            hit = flow.marks.get(mark) == "hit" and self.rule.action == "dns_drop" and self.rule.on_way("s2c")
            return self.drop(flow, packet, direction, now) if hit and active else PASS
        if not active or not self.rule.fits_name(question[1]):
            return PASS
        if mark not in flow.marks:
            self.draw_query(flow, mark, now)
        return self.answer_query(flow, packet, question, now) if flow.marks[mark] == "hit" else PASS

    def draw_query(self, flow, mark, now):
        missed = self.random.random() < self.rule.misses
        flow.marks[mark], flow.marks["name"] = "missed" if missed else "hit", mark[1]
        self.note("missed" if missed else "matched", flow, now)

    def answer_query(self, flow, packet, question, now):
        if self.rule.action == "dns_drop":
            return self.drop_on_way(flow, packet, "c2s", now)
        delay = self.answer_delay(flow)
        for _ in range(int(self.rule.draw(flow, "count", 1, self.random))):
            self.inject(flow, self.forger.dns_answer(flow, packet, question), "client", delay, name=question[1])
            delay += self.random.uniform(0.0001, 0.0008)
        return self.drop(flow, packet, "c2s", now) if self.rule.swallow else PASS
