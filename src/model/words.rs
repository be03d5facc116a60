//! The closed word lists of the tables: each word once, with its meaning, in the order in which the tables declare it.

/// An enumeration whose values are words of the tables.
pub trait Word: Copy + Sized + 'static {
    /// Every value in declared order.
    const ALL: &'static [Self];
    fn word(self) -> &'static str;
    /// One line for the schema.
    fn meaning(self) -> &'static str;
    /// Position in the declared order.
    fn index(self) -> usize;

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|value| value.word() == word)
    }
}

macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($value:ident = $word:literal : $meaning:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $(#[doc = $meaning] $value,)+ }

        impl Word for $name {
            const ALL: &'static [Self] = &[$(Self::$value,)+];
            fn word(self) -> &'static str {
                match self { $(Self::$value => $word,)+ }
            }
            fn meaning(self) -> &'static str {
                match self { $(Self::$value => $meaning,)+ }
            }
            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

words! {
    /// What the network did to a flow.
    Verdict {
        Ok = "ok": "the network let the flow through, or what ended it is proven innocent",
        RstInjection = "rst_injection": "a forged or rewritten reset, whatever it followed",
        SniDrop = "sni_drop": "drop, silence or freeze at or after a ClientHello that carries an SNI",
        ProtocolBlock = "protocol_block": "the same without SNI or TLS",
        QuicDrop = "quic_drop": "QUIC Initials are dropped",
        HttpBlock = "http_block": "block page, redirect or drop after an HTTP request",
        IpBlock = "ip_block": "the address is cut off",
        Throttling = "throttling": "the rate is held down",
        DnsManipulation = "dns_manipulation": "the answer to a name is forged, removed or held back",
        CallBlock = "call_block": "relays or media of a call are cut",
        TlsMitm = "tls_mitm": "the certificate belongs to somebody else",
        Unreachable = "unreachable": "no answer, refused or silent, and nothing that tells interference from a dead host",
        Unknown = "unknown": "nothing can be said: too little was captured, or no answer is owed",
    }
}

impl Stage {
    /// Of a connection whose SYN was seen: whether the handshake was acknowledged, and packets of the client with new payload.
    pub fn of(is_acknowledged: bool, payload_packets: u32) -> Self {
        match payload_packets {
            0 if !is_acknowledged => Self::PostSyn,
            0 => Self::PostAck,
            1 => Self::PostPsh,
            _ => Self::Later,
        }
    }
}

impl Verdict {
    /// Whether the word accuses the network.
    pub fn is_interference(self) -> bool {
        !matches!(self, Self::Ok | Self::Unreachable | Self::Unknown)
    }
}

words! {
    /// What this vantage saw of the interference.
    Mechanism {
        HelloUnacked = "hello_unacked": "the ClientHello was never acknowledged",
        HelloAckedThenSilent = "hello_acked_then_silent": "the ClientHello was acknowledged, then silence",
        CutAfterPackets = "cut_after_packets": "some packets after the ClientHello, then silence",
        VolumeFreeze = "volume_freeze": "the transfer froze in the middle",
        FirstPayloadUnacked = "first_payload_unacked": "the first payload was never acknowledged",
        SynUnanswered = "syn_unanswered": "SYNs were not answered",
        SynAckUnacked = "synack_unacked": "SYN/ACKs were not acknowledged",
        RstFromServerSide = "rst_from_server_side": "a reset that claims to come from the server",
        RstFromClientSide = "rst_from_client_side": "a reset that claims to come from the client",
        RstBothSides = "rst_both_sides": "resets that claim to come from both ends",
        RstReplacesAnswer = "rst_replaces_answer": "the server's answer was rewritten to a reset",
        SynRst = "syn_rst": "a reset beside the server's own answer to the SYN",
        IcmpUnreachable = "icmp_unreachable": "an ICMP error refused the flow",
        InitialUnanswered = "initial_unanswered": "QUIC Initials were not answered",
        Policing = "policing": "packets above a rate are dropped",
        Shaping = "shaping": "packets above a rate are held in a queue",
        RandomLoss = "random_loss": "packets are dropped at random",
        DnsForged = "dns_forged": "a forged DNS answer",
        DnsForgedNxdomain = "dns_forged_nxdomain": "a forged DNS answer that denies the name",
        DnsRemoved = "dns_removed": "the resolver no longer knows the name",
        DnsRefused = "dns_refused": "the resolver refuses the name",
        DnsNoAnswer = "dns_no_answer": "the resolver does not answer for the name",
        StunUnanswered = "stun_unanswered": "requests to call relays were not answered",
        MediaCut = "media_cut": "media stopped in one direction",
        BlockPage = "block_page": "a block page instead of the answer",
        Redirect = "redirect": "a redirect instead of the answer",
        RequestUnacked = "request_unacked": "the HTTP request was never acknowledged",
        Certificate = "certificate": "a certificate of another authority",
        Residual = "residual": "a later connection of the same client is cut for what an earlier one said",
    }
}

words! {
    /// What the interference was keyed on.
    Trigger {
        Sni = "sni": "the name in the ClientHello",
        HttpHost = "http_host": "the Host of an HTTP request",
        DnsName = "dns_name": "the name asked for",
        ServerIp = "server_ip": "the server's address",
        ServerPort = "server_port": "the server's port",
        Protocol = "protocol": "the protocol itself",
        TlsFingerprint = "tls_fingerprint": "the client's TLS fingerprint",
        Combined = "combined": "two of these together",
        Undetermined = "undetermined": "nothing was compared that could tell",
    }
}

words! {
    /// What the user got.
    Outcome {
        Worked = "worked": "the exchange went through",
        Degraded = "degraded": "it began to work and was cut or slowed",
        Failed = "failed": "the user got nothing",
        Unknown = "unknown": "the capture does not show it",
    }
}

words! {
    /// How far an accusation of interference is supported.
    Certainty {
        Suspicion = "suspicion": "one weak sign; confidence below one half",
        Anomaly = "anomaly": "two independent families of evidence, or a decisive one",
        Likely = "likely": "matched controls agree",
        Confirmed = "confirmed": "a repeated packet contradiction with controls, or proof from both ends",
    }
}

words! {
    /// Where the capture was taken.
    Vantage {
        Client = "client": "at or near the client",
        Server = "server": "at or near the server",
        Transit = "transit": "between the two",
        Unknown = "unknown": "the packets do not tell",
    }
}

words! {
    /// Why a flow ended.
    EndReason {
        Fin = "fin": "both ends closed",
        Rst = "rst": "a reset was seen",
        Timeout = "timeout": "silence longer than the timeout",
        CaptureEnd = "capture_end": "the capture ended first",
        Reused = "reused": "a new connection took over the address pair",
        Evicted = "evicted": "memory was needed",
    }
}

words! {
    /// What carries the flow.
    Transport {
        Tcp = "tcp": "TCP",
        Udp = "udp": "UDP",
        Icmp = "icmp": "ICMP and ICMPv6",
        Sctp = "sctp": "SCTP",
        Other = "other": "any other IP protocol",
    }
}

words! {
    /// How client and server were told apart.
    Orientation {
        Syn = "syn": "the SYN names the client",
        SynAck = "syn_ack": "the SYN/ACK names the server",
        App = "app": "the first application bytes name the client, or the catalog names the server by its address",
        Port = "port": "one port is a registered service port and the other is not",
        FirstPacket = "first_packet": "the sender of the first packet is taken for the client",
    }
}

words! {
    /// Which fact gave the host.
    HostSource {
        TlsSni = "tls_sni": "the SNI of a TLS ClientHello",
        QuicSni = "quic_sni": "the SNI of a QUIC Initial",
        HttpHost = "http_host": "the Host of an HTTP request",
        Dns = "dns": "a DNS answer that this client got",
        IpPrefix = "ip_prefix": "the address alone, by prefix",
        Wire = "wire": "the first bytes on the wire",
    }
}

words! {
    /// What a host of a service is for.
    Role {
        Chat = "chat": "messages and signalling",
        Media = "media": "pictures, video, files",
        Call = "call": "voice and video calls",
        Web = "web": "pages",
        Api = "api": "registration, telemetry, other interfaces",
        Push = "push": "notifications",
    }
}

words! {
    /// The protocol inside the transport.
    AppProtocol {
        Tls = "tls": "TLS over a stream (RFC 8446)",
        Quic = "quic": "QUIC (RFC 9000), its drafts, and Google QUIC",
        Dtls = "dtls": "TLS over datagrams (RFC 9147)",
        Http = "http": "HTTP in clear text",
        Websocket = "websocket": "an HTTP connection that became a WebSocket (RFC 6455)",
        Dns = "dns": "DNS in clear text (RFC 1035)",
        Dot = "dot": "DNS over TLS (RFC 7858)",
        Doh = "doh": "DNS over HTTPS (RFC 8484), by the name of a known resolver",
        Doq = "doq": "DNS over QUIC (RFC 9250)",
        Mdns = "mdns": "multicast DNS (RFC 6762)",
        Llmnr = "llmnr": "link-local name resolution (RFC 4795)",
        Ssh = "ssh": "SSH (RFC 4253)",
        Stun = "stun": "STUN and TURN (RFC 8489, RFC 8656)",
        Mtproto = "mtproto": "MTProto, Telegram's transport",
        WaNoise = "wa_noise": "Noise, as WhatsApp's chat speaks it outside TLS",
        TgReflector = "tg_reflector": "a relay of Telegram calls",
        DiscordVoice = "discord_voice": "Discord's voice and video",
        Viber = "viber": "Viber's own protocol",
        Zoom = "zoom": "Zoom's media",
        LineCall = "line_call": "calls of LINE",
        Loco = "loco": "LOCO, KakaoTalk's protocol",
        Mmtls = "mmtls": "MMTLS, WeChat's protocol",
        Threema = "threema": "Threema's chat protocol",
        Imo = "imo": "calls of imo",
        Oscar = "oscar": "OSCAR, ICQ's protocol",
        Wireguard = "wireguard": "WireGuard; named with --label-circumvention",
        Openvpn = "openvpn": "OpenVPN; named with --label-circumvention",
        Ikev2 = "ikev2": "IKE; named with --label-circumvention",
        Esp = "esp": "ESP in UDP (RFC 3948); named with --label-circumvention",
        FullyEncrypted = "fully_encrypted": "random from the first byte; named with --label-circumvention",
        OtherEncrypted = "other_encrypted": "a protocol that hides what it carries: a VPN, a tunnel, or random bytes",
    }
}

words! {
    /// Whether a ClientHello hides another one (Encrypted Client Hello, RFC 9849).
    Ech {
        Absent = "none": "no such extension",
        Grease = "grease": "an extension without content, as clients send it that have no configuration",
        Real = "real": "the client had got a configuration for this outer name, and used it",
        Unknown = "unknown": "an extension that may be either",
    }
}

words! {
    /// What became of a packet between two captures of its flow.
    Fate {
        Delivered = "delivered": "sent at one end and received at the other",
        Dropped = "dropped": "sent at one end and not received at the other",
        Injected = "injected": "received at one end and never sent by the other",
        Rewritten = "rewritten": "sent, and received with other flags, length or bytes",
        Delayed = "delayed": "received much later than the path needs",
    }
}

words! {
    /// What carries a DNS message.
    DnsTransport {
        Udp = "udp": "UDP",
        Tcp = "tcp": "TCP",
    }
}

words! {
    /// What became of the client's first payload.
    PayloadFate {
        Answered = "answered": "the server answered with payload",
        AckedThenSilent = "acked_then_silent": "acknowledged, then no payload of the server",
        NeverAcked = "never_acked": "never acknowledged",
        Reset = "reset": "a reset came before any payload of the server",
        Closed = "closed": "the server closed without payload",
        Alert = "alert": "the server answered with a TLS alert",
        NoPayload = "none": "the client sent no payload",
    }
}

words! {
    /// What was still owed when the flow fell silent.
    Outstanding {
        ClientUnacked = "client_unacked": "bytes of the client were not acknowledged",
        RequestPending = "request_pending": "the client's last payload was acknowledged but not answered",
        TlsRecord = "tls_record": "the server had begun a TLS record and not finished it",
        ServerUnacked = "server_unacked": "bytes of the server were not acknowledged",
        Nothing = "none": "nothing",
    }
}

words! {
    /// A direction of packets.
    Way {
        C2s = "c2s": "from client to server",
        S2c = "s2c": "from server to client",
        Both = "both": "both ways",
        Unknown = "unknown": "not proven",
    }
}

words! {
    /// How far a TCP connection had come (SIGCOMM 2023, "Global, Passive Detection of Connection Tampering").
    Stage {
        PostSyn = "post_syn": "after the SYN",
        PostAck = "post_ack": "after the handshake",
        PostPsh = "post_psh": "after the first payload",
        Later = "later": "after more payload",
    }
}

words! {
    /// Zeek's conn_state.
    TcpState {
        S0 = "S0": "connection attempt seen, no reply",
        S1 = "S1": "connection established, not terminated",
        Sf = "SF": "normal establishment and termination",
        Rej = "REJ": "connection attempt rejected",
        S2 = "S2": "established, close attempt by the client only",
        S3 = "S3": "established, close attempt by the server only",
        Rsto = "RSTO": "established, the client's side sent a reset",
        Rstr = "RSTR": "the server's side sent a reset",
        Rstos0 = "RSTOS0": "the client's side sent a SYN and then a reset, no SYN/ACK was seen",
        Rstrh = "RSTRH": "the server's side sent a SYN/ACK and then a reset, no SYN was seen",
        Sh = "SH": "the client's side sent a SYN and then a FIN, no SYN/ACK was seen",
        Shr = "SHR": "the server's side sent a SYN/ACK and then a FIN, no SYN was seen",
        Oth = "OTH": "no SYN seen, traffic in midstream",
    }
}

words! {
    /// What a side does with the identification field of its IPv4 packets (RFC 6864).
    IpIdCourse {
        Constant = "constant": "the same number in every packet",
        Zero = "zero": "no number",
        Incrementing = "incrementing": "a counter, in either byte order, of the connection or of the host",
        Random = "random": "numbers without order",
    }
}

words! {
    /// A gate of capture quality that a flow fails: what depends on it is not claimed.
    Gate {
        Midstream = "midstream": "no SYN was seen",
        TruncatedEnd = "truncated_end": "the capture ended too soon after the silence began",
        Snaplen = "snaplen": "one of the first payload packets was cut by the snap length",
        Loss = "loss": "an end acknowledged bytes that the capture does not hold",
        Oneway = "oneway": "one direction is missing although the other acknowledges data",
        Dup = "dup": "packets were captured more than once: the copies are counted in the columns of duplicates and left out everywhere else",
        Reorder = "reorder": "timestamps of the flow go back by more than 1 ms",
        Offload = "offload": "segments are larger than the negotiated maximum",
        Tunnel = "tunnel": "the packets came in a tunnel: TTL and identification are those of the innermost header",
        DesyncTool = "desync_tool": "the client runs a circumvention tool: it sends decoys that are not to arrive",
    }
}

words! {
    /// What shape a reset has (RFC 9293 sections 3.5.2 and 3.10.7), by the state of the connection that the capture shows at that point.
    RstForm {
        Refused = "refused": "RST+ACK with sequence number 0 that acknowledges a SYN: nobody listens there",
        ReplyToAck = "reply_to_ack": "a sequence number that a segment of the receiver acknowledged: there is no such connection",
        Abort = "abort": "at the sender's next sequence number, acknowledging what it may have received: the application gave up",
        Late = "late": "the same behind a FIN of the same side",
        Nonconforming = "none": "none of these: no conforming stack sends it",
        Unknown = "unknown": "the capture does not show enough of the sender to tell",
    }
}

words! {
    /// A published pattern of injected resets. A hint at a kind of device, never evidence: devices change, and others look alike.
    ResetPattern {
        Seq1460 = "seq_1460": "a burst whose sequence numbers lie 1,460 or 4,380 bytes apart (Clayton, Murdoch, Watson, PET 2006; Weaver, Sommer, Paxson, NDSS 2009)",
        Seq12503 = "seq_12503": "a second reset 12,503 bytes beyond the first (Weaver, Sommer, Paxson, NDSS 2009)",
        Seq30 = "seq_30": "a burst in which some sequence numbers lie 30 bytes beyond the others (Aryan, Aryan, Halderman, FOCI 2013)",
        IpId64 = "ipid_64": "IP identification 64 (Weaver, Sommer, Paxson, NDSS 2009)",
        IpIdMinus26 = "ipid_minus_26": "IP identification 26 below that of the packet before it (Weaver, Sommer, Paxson, NDSS 2009)",
        IpId13330 = "ipid_13330": "IP identification 13330 (Marczak et al., Citizen Lab 2018)",
        Nonce = "rst_ack_nonce": "RST+ACK with the ECN nonce bit (Weaver, Sommer, Paxson, NDSS 2009)",
        WindowSteps = "window_steps": "a burst of RST+ACK at one sequence number whose windows rise by one each (GFW Report, August 2025)",
        Payload10 = "payload_10": "RST+ACK with ten bytes of payload and IP identification 1 (Wu et al., IEEE S&P 2025)",
        Mixed = "rst_and_rst_ack": "RST and RST+ACK in one burst behind a request (Sundara Raman et al., SIGCOMM 2023)",
    }
}

words! {
    /// A family of evidence: items of one family depend on each other, so that only the strongest counts.
    Family {
        Contradiction = "contradiction": "packets that cannot come from one and the same machine",
        Timing = "timing": "packets that come too early or instead of another",
        Form = "form": "resets that no conforming stack sends",
        Header = "header": "header fields of a reset that differ from its sender's other packets: only beside a contradiction or the timing",
        Pattern = "pattern": "published patterns: hints that weigh nothing",
        Stage = "stage": "how far the flow came before it was cut",
        Control = "control": "comparison with other flows",
    }
}

words! {
    /// An innocent explanation. Where it is proven the verdict is `ok`.
    Benign {
        OwnReset = "own_reset": "the side at which the capture was taken reset the connection itself",
        Refused = "refused": "the port was closed: RST+ACK with the form that answers a SYN",
        Alert = "alert": "the server refused with a TLS alert",
        Closed = "closed": "an end closed the connection with a FIN before the reset",
        IdleReset = "idle_reset": "a reset after a long idle time, as load balancers send it",
        ServerAbort = "server_abort": "a reset with the form of an application that gives up",
        ReceiverWindow = "receiver_window": "the receiver had closed its window",
        PathMtu = "path_mtu": "only full-size packets are lost",
        EarlyGiveUp = "early_give_up": "the client gave up before an answer was due",
        Scan = "scan": "the client resets what answers its SYN: it only asked whether somebody listens",
        Unused = "unused": "the client opened the connection and gave it up without a byte of payload, as browsers do in advance and in races",
        IdlePath = "idle_path": "nothing passed for a long time, and then nothing any more: devices forget idle connections",
    }
}

words! {
    /// Matched sets of flows: what the controls of a comparison share with its target, and what not.
    ContrastSet {
        OtherNames = "A": "the same server and port, other names: is it the name?",
        OtherServers = "B": "the same name at servers of other blocks (IPv4: /24, IPv6: /48): is it the address?",
        OtherNetworks = "C": "the same server, port and name from other client networks: is it the path?",
        SameClient = "D": "the same client at other servers under other names: is it the client?",
        BeforeAndAfter = "E": "the same target earlier or later: since when?",
        OtherPorts = "F": "the same server at other ports or over another transport: is it the port?",
    }
}

words! {
    /// A layer that carries packets of others; VLAN tags are none, they have a column of their own.
    TunnelKind {
        Ipip = "ipip": "IPv4 in IPv4 (RFC 2003)",
        SixInFour = "6in4": "IPv6 in IPv4 (RFC 4213)",
        FourInSix = "4in6": "IPv4 in IPv6 (RFC 2473)",
        SixInSix = "6in6": "IPv6 in IPv6 (RFC 2473)",
        Gre = "gre": "GRE (RFC 2784), with the key where there is one",
        Erspan = "erspan": "mirrored frames in GRE",
        Pptp = "pptp": "PPP in GRE version 1 (RFC 2637)",
        Pim = "pim": "multicast data on its way to the rendezvous point (PIM register, RFC 7761)",
        GtpU = "gtp-u": "user data of mobile networks, GTP version 1 or 0",
        Vxlan = "vxlan": "VXLAN (RFC 7348), with the network identifier",
        VxlanGpe = "vxlan-gpe": "VXLAN with a next protocol, with the network identifier",
        Geneve = "geneve": "Geneve (RFC 8926), with the network identifier",
        Teredo = "teredo": "IPv6 in UDP through NATs (RFC 4380)",
        Ayiya = "ayiya": "IPv6 in UDP of tunnel brokers (AYIYA)",
        L2tp = "l2tp": "PPP in L2TP version 2 (RFC 2661)",
        Capwap = "capwap": "frames between an access point and its controller (RFC 5415)",
        Lisp = "lisp": "LISP (RFC 9300)",
        MplsInUdp = "mpls-in-udp": "MPLS in UDP (RFC 7510)",
        Tzsp = "tzsp": "frames that a sniffer sends on in UDP (TZSP)",
        Mpls = "mpls": "one stack of MPLS labels (RFC 3032)",
        Pppoe = "pppoe": "PPP over Ethernet (RFC 2516)",
        Pbb = "pbb": "provider backbone bridges (IEEE 802.1ah)",
        Macsec = "macsec": "MACsec with clear content (IEEE 802.1AE)",
        Nsh = "nsh": "network service header (RFC 8300)",
        FabricPath = "fabricpath": "Cisco FabricPath",
        Trill = "trill": "TRILL (RFC 6325)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds<W: Word + PartialEq + std::fmt::Debug>() {
        for (position, value) in W::ALL.iter().enumerate() {
            assert_eq!(value.index(), position);
            assert_eq!(W::from_word(value.word()), Some(*value), "a word names one value");
            assert!(!value.meaning().is_empty());
        }
    }

    #[test]
    fn every_word_leads_back_to_its_value() {
        holds::<Verdict>();
        holds::<Mechanism>();
        holds::<Trigger>();
        holds::<TcpState>();
        holds::<IpIdCourse>();
        holds::<Gate>();
        holds::<Benign>();
        holds::<Outstanding>();
        holds::<TunnelKind>();
        holds::<AppProtocol>();
        holds::<Ech>();
        holds::<Fate>();
        holds::<ContrastSet>();
    }

    #[test]
    fn only_accusations_are_interference() {
        let harmless: Vec<_> = Verdict::ALL.iter().filter(|verdict| !verdict.is_interference()).map(|verdict| verdict.word()).collect();
        assert_eq!(harmless, ["ok", "unreachable", "unknown"]);
    }
}
