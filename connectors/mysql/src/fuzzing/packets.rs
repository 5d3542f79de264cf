//! The protocol below events and rows: packets out of a byte stream, and what the server says of itself and its results.

use crate::wire::{
    ColumnDef, Payload,
    fuzzed::{Greeting, PacketReader, server_error},
};

const PACKET_BYTES_MAX: usize = 1 << 16;
/// Packets of one input that are looked into.
const LOOKED_INTO_MAX: usize = 64;

/// How the bytes arrive, then the bytes of one direction of a connection.
pub fn packets(bytes: &[u8]) {
    let Some((&choice, stream)) = bytes.split_first() else { return };
    let at_once = packets_of(stream, stream.len().max(1));
    let in_pieces = packets_of(stream, usize::from(choice) + 1);
    assert!(at_once == in_pieces, "packets depend on how their bytes arrive");
    for packet in at_once.iter().take(LOOKED_INTO_MAX) {
        let _ = Greeting::parse(packet);
        let _ = ColumnDef::parse(packet);
        let _ = server_error(packet);
        let mut values = Payload(packet);
        while !values.0.is_empty() && values.string().is_ok() {}
    }
}

/// All packets until the bytes end or are no packets.
fn packets_of(stream: &[u8], piece_bytes: usize) -> Vec<Vec<u8>> {
    let mut reader = PacketReader::new(PACKET_BYTES_MAX);
    let mut packets = Vec::new();
    for piece in stream.chunks(piece_bytes) {
        reader.make_room().extend_from_slice(piece);
        loop {
            match reader.next_packet() {
                Ok(Some(packet)) => packets.push(packet.to_vec()),
                Ok(None) => break,
                Err(_) => return packets,
            }
        }
    }
    packets
}
