"""Firefox ESR and Chromium in one call: offers, SSRCs, layers and nominations of another make."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.async_api import Page

from actors.relay import PublishSource, Relay, RelayConfig
from tests.patience import PATIENCE, until

from .firefox import ADDRESS, Firefox, network
from .pages import Received, answer_to, chromium, join, received, served, until_growing_by
from .recording import RecordingListener

pytestmark = pytest.mark.browser


TURN_UPPER_LAYERS_OFF = """(async () => {
  const { sender } = window.transceivers.video;
  const parameters = sender.getParameters();
  for (const encoding of parameters.encodings) encoding.active = encoding.rid === 'q';
  await sender.setParameters(parameters);
})()"""
WHICH_ARE_ON = """window.transceivers.video.sender.getParameters().encodings
  .filter(({ active }) => active).map(({ rid }) => rid)"""


async def until_shown(page: Page, height: int) -> None:
    """Wait until some picture that a page decodes has this height."""
    for _ in range(int(300 * PATIENCE)):
        found = await received(page)
        if any(stream["height"] == height for stream in found.values()):
            return
        await page.wait_for_timeout(50)
    raise AssertionError(f"{height} is not shown: {found}")


@pytest.mark.soak
async def test_three_people_with_two_makes_of_browser(tmp_path: Path) -> None:
    listener = RecordingListener()
    relay = Relay(RelayConfig(bind=(ADDRESS,)), listener)
    program = tmp_path / "chromium"
    with network() as made, made.inside(), served() as url:
        program.write_text(f'#!/bin/sh\nexec ip netns exec {made.name} /usr/bin/chromium "$@"\n')
        program.chmod(0o755)
        await relay.open()
        firefox = Firefox(made, tmp_path / "profile")

        try:
            await firefox.start()
            fox = await firefox.open(url)
            joined = await fox.evaluate("window.join(2, true)")
            answer = json.dumps(answer_to(relay, "fox", joined))
            await fox.evaluate(f"window.accept({answer})")

            async def seen_by_firefox() -> dict[str, Received]:
                found: dict[str, Received] = await fox.evaluate("window.received()")
                return found

            async with chromium(program) as browser:
                pages = {}
                for person in ("ada", "ben"):
                    pages[person] = await browser.new_page()
                    await pages[person].goto(url)
                    await join(relay, pages[person], person, seats=2)
                for page in pages.values():
                    await until_growing_by(lambda page=page: received(page), people=2)  # type: ignore[misc]
                await until_growing_by(seen_by_firefox, people=2)
                assert set(listener.occupants("fox").values()) >= {"ada", "ben"}

                # Firefox signals its SSRCs, and its layers are told apart by them all the same.
                camera = next(
                    publication
                    for publication in relay.transports["fox-1"].publications.values()
                    if publication.source is PublishSource.CAMERA
                )
                await until(lambda: len(camera.layers) == 3, within=40 * PATIENCE)
                seat = next(
                    index
                    for (kind, index), who in listener.occupants("ada").items()
                    if kind == "seat" and who == "fox"
                )
                await until(lambda: camera.layers["q"].height, within=40 * PATIENCE)
                for rid in ("q", "h", "q"):
                    layer = camera.layers[rid]
                    height = layer.height or 2 * camera.layers["q"].height
                    relay.set_view("ada-1", {seat: (height * 16 // 9, height)}, {})
                    await until(lambda layer=layer: layer.height, within=40 * PATIENCE)  # type: ignore[misc]
                    await until_shown(pages["ada"], layer.height)

                # What is off stays off through an ICE restart: Firefox reads over the pause that
                # its answer tells libwebrtc of, and goes by what its page has set.
                relay.set_view("ben-1", dict.fromkeys((0, 1), (320, 180)), {})
                await until(lambda: camera.told_rids == ("q",), within=40 * PATIENCE)
                await fox.evaluate(TURN_UPPER_LAYERS_OFF)
                ice = relay.transports["fox-1"].ice
                restarted = await fox.evaluate("(window.pc.restartIce(), window.offer())")
                restart = answer_to(relay, "fox", restarted)
                assert "a=simulcast:recv q;~h;~f" in restart
                await fox.evaluate(f"window.accept({json.dumps(restart)})")
                await until(lambda: len(ice.generations) == 1, within=40 * PATIENCE)
                packets = {rid: layer.received for rid, layer in camera.layers.items()}
                await until(lambda: camera.layers["q"].received > packets["q"] + 60)
                assert await fox.evaluate(WHICH_ARE_ON) == ["q"]
                assert camera.layers["h"].received == packets["h"]
                assert camera.layers["f"].received == packets["f"]
            assert relay.mistakes == 0
            assert firefox.problems == []
        finally:
            await firefox.close()
            await relay.close()
