//! Any bytes as a DNS message: a cut takes answers away and changes none, and whoever reads strictly reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tamperscope::app::Reading;
use tamperscope::app::dns::Message;

fuzz_target!(|datagram: &[u8]| {
    let Ok(message) = Message::read(datagram) else {
        assert_eq!(Message::read_strictly(datagram), None);
        return;
    };
    assert!(message.same_answer(&message));
    assert!(message.addresses().count() <= 32 * message.answers.len(), "an answer has two lists of hints");
    for end in 0..datagram.len().min(512) {
        if let Ok(cut) = Message::read(&datagram[..end]) {
            assert!(message.answers.starts_with(&cut.answers) || cut.answers.starts_with(&message.answers), "cut at {end}");
            assert!(cut.question.is_none() || cut.question == message.question);
        }
    }
    if let Some(strict) = Message::read_strictly(datagram) {
        assert!(strict.whole && strict == message);
        let frame = [&(datagram.len() as u16).to_be_bytes()[..], datagram].concat();
        assert_eq!(Message::read_framed_strictly(&frame).reading, Reading::Done(strict));
        assert_eq!(Message::read_framed_strictly(&frame[..frame.len() - 1]).reading, Reading::More);
    }
});
