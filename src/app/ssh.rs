//! SSH: the identification that either side sends first (RFC 4253 section 4.2).

use super::heads::{Recognised, View};
use crate::model::Direction::{ClientToServer, ServerToClient};
use crate::model::words::AppProtocol::Ssh;

/// 1.99 speaks 2.0 as well (RFC 4253 section 5.1).
const BANNERS: [&[u8]; 3] = [b"SSH-2.0-", b"SSH-1.99-", b"SSH-1.5-"];
/// The default of Psiphon's server; its client says `Go`, as any program in Go may.
const PSIPHON: &[u8] = b"SSH-2.0-Psiphon";

pub(super) fn recognise(view: &View<'_>) -> Option<Recognised> {
    let streams = [view.stream(ServerToClient), view.stream(ClientToServer)];
    let begins = |banner: &[u8]| streams.iter().any(|stream| stream.starts_with(banner));
    if begins(PSIPHON) {
        return Some(Recognised::certain(Ssh, "psiphon_ssh"));
    }
    BANNERS.into_iter().any(begins).then(|| Recognised::certain(Ssh, "ssh"))
}

#[cfg(test)]
mod tests {
    use crate::app::heads::Strength::Certain;
    use crate::app::heads::scene::{first_of_tcp, tcp};

    #[test]
    fn the_banner_of_either_side_tells() {
        assert_eq!(first_of_tcp(&tcp(b"SSH-2.0-OpenSSH_9.6\r\n", &[])), Some(("ssh", Certain)));
        assert_eq!(first_of_tcp(&tcp(&[], b"SSH-1.99-Cisco-1.25\n")), Some(("ssh", Certain)));
        assert_eq!(first_of_tcp(&tcp(b"SSH-2.0-Go\r\n", b"SSH-2.0-Psiphon\r\n")), Some(("psiphon_ssh", Certain)));
    }

    #[test]
    fn other_text_does_not() {
        assert_eq!(first_of_tcp(&tcp(b"SSH is a protocol", &[])), None);
    }
}
