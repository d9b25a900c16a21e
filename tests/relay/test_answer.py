"""Answers: each section's own codecs, numbers and extensions, and nothing that was not offered."""

from __future__ import annotations

import re

from actors.relay.wire.rtp import ABS_SEND_TIME_URI, AUDIO_LEVEL_URI, MID_URI, TRANSPORT_CC_URI
from benchmarks.media.description import Dialect
from tests.patience import until

from .client import CraftedClient
from .conftest import Call


def section_of(text: str, mid: str) -> str:
    """Return one section of a description, from its m= line on."""
    found = next(part for part in text.split("m=")[1:] if f"a=mid:{mid}\r\n" in part)
    return "m=" + found


async def test_the_answer_names_only_what_its_section_offered(call: Call) -> None:
    dialect = Dialect(opus=63, vp8=45, vp8_rtx=46, extensions={MID_URI: 14, TRANSPORT_CC_URI: 9})
    client = CraftedClient(call.relay, "ada", dialect=dialect)
    sdp = (
        client.offer().replace(
            "a=extmap:14", "a=extmap:5 urn:3gpp:video-orientation\r\na=extmap:14"
        )
        + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:99\r\na=sctp-port:5000\r\n"
    )
    answer = call.relay.answer("ada", "t", sdp, client.layout, client.rights)
    assert "video-orientation" not in answer
    assert AUDIO_LEVEL_URI not in answer
    assert "m=application 0 " in answer
    assert f"a=extmap:14 {MID_URI}" in answer
    assert "a=rtpmap:63 opus/48000/2" in answer
    assert "a=fmtp:46 apt=45" in answer
    assert "a=ice-lite" in answer
    assert "a=setup:passive" in answer
    assert "99" not in answer.split("a=group:BUNDLE ")[1].splitlines()[0].split()
    for line in answer.splitlines():
        if line.startswith("a=ice-ufrag:"):
            assert len(line.partition(":")[2]) >= 8
        elif line.startswith("a=ice-pwd:"):
            assert len(line.partition(":")[2]) >= 24


async def test_an_answer_asks_for_what_repairs_a_voice_and_repairs_every_picture(
    call: Call,
) -> None:
    client = CraftedClient(call.relay, "ada")
    client.negotiate()
    microphone = section_of(client.answer, "0")
    assert "a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1\r\n" in microphone
    assert "a=rtcp-fb:111 transport-cc\r\n" in microphone
    _, video = client.seat(0)
    slot = section_of(client.answer, video)
    for line in (
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97 102 103",
        "a=fmtp:97 apt=96",
        "a=fmtp:103 apt=102",
        "a=rtcp-fb:96 nack",
        "a=rtcp-fb:96 nack pli",
        "a=rtcp-fb:96 transport-cc",
        "a=sendonly",
    ):
        assert f"{line}\r\n" in slot, line
    # RTX, cname and stream of each slot, so that nothing about it need be negotiated later.
    ssrc, repair = client.slots[video]
    assert f"a=ssrc-group:FID {ssrc} {repair}\r\n" in slot
    names = re.findall(r"a=ssrc:(\d+) cname:(\S+)", slot)
    assert [int(number) for number, _ in names] == [ssrc, repair]
    assert len({name for _, name in names}) == 1


async def test_an_answer_mixes_forms_of_extensions_only_where_that_was_offered(call: Call) -> None:
    for number, offered in enumerate((True, False)):
        client = CraftedClient(call.relay, f"ada-{number}")
        sdp = client.offer()
        assert "a=extmap-allow-mixed" in sdp
        if not offered:
            sdp = sdp.replace("a=extmap-allow-mixed\r\n", "")
        name = client.participant_id
        answer = call.relay.answer(name, name, sdp, client.layout, client.rights)
        assert ("a=extmap-allow-mixed" in answer) is offered


async def test_an_answer_takes_the_six_extensions_and_no_other(call: Call) -> None:
    client = CraftedClient(call.relay, "ada")
    others = (
        "urn:3gpp:video-orientation",
        "urn:ietf:params:rtp-hdrext:toffset",
        "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
        "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type",
    )
    more = "".join(f"a=extmap:{5 + n} {uri}\r\n" for n, uri in enumerate(others))
    more += f"a=extmap:9 {ABS_SEND_TIME_URI}\r\n"
    sdp = client.offer().replace("a=rtcp-mux\r\n", f"a=rtcp-mux\r\n{more}")
    answer = call.relay.answer("ada", "ada", sdp, client.layout, client.rights)
    # Audio levels are not a picture's, layers not a slot's.
    audio, video = client.seat(0)
    for mid, taken in (
        ("0", "1 3 4 9 10 11"),
        ("1", "3 4 9 10 11"),
        (audio, "1 3 4 9"),
        (video, "3 4 9"),
    ):
        found = re.findall(r"a=extmap:(\d+) ", section_of(answer, mid))
        assert sorted(found, key=int) == taken.split(), mid


async def test_every_section_keeps_the_numbers_of_its_own(call: Call) -> None:
    """Two seats of one widget number VP8 and MID differently; each gets its own."""
    ada, cy = await call.join("ada"), await call.join("cy")
    ben = CraftedClient(call.relay, "ben", dialect=Dialect(h264=None))
    call.clients.append(ben)
    _, second = ben.seat(1)
    offer = ben.offer
    own = {"96": "45", "97": "46"}

    def otherwise() -> str:
        text = offer()
        section = section_of(text, second)
        changed = re.sub(
            r"(?<=[ :=])(96|97)(?=[ \r])", lambda found: own[found[1]], section
        ).replace("a=extmap:4 ", "a=extmap:7 ")
        return text.replace(section, changed)

    ben.offer = otherwise  # type: ignore[method-assign]
    await ben.connect()
    assert "m=video 9 UDP/TLS/RTP/SAVPF 45 46\r\n" in section_of(ben.answer, second)
    for client in (ada, cy):
        client.send_frame(key=True, parts=(client.participant_id.encode(),))
    first = ben.seat(0)[1]
    await until(lambda: ben.heard_on(first) and ben.heard_on(second))
    shown = [ben.heard_on(mid)[0].packet.payload_type for mid in (first, second)]
    assert shown == [96, 45]
