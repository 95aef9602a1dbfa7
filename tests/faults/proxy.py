"""A TCP proxy that misbehaves on demand: slow, deaf, gone, or hanging up just when the answer comes.

It runs in a thread of its own; a test turns its attributes while traffic flows.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")
LOOPBACK = "127.0.0.1"
_CHUNK = 64 * 1024
_HANG_UP = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: closing sends a reset, and what is on its way is gone."""


class Proxy:
    """Passes bytes between `port` (chosen when it is 0) and `target` on the loopback.

    delay_s       each chunk waits so long, in both directions
    is_deaf       connections stay open and take bytes, and nothing comes out at the other end (half-open)
    go_away()     open connections are reset, new ones too
    hang_up(...)  the next answers to requests that hold a text are reset in their place: the server has done its part
    """

    def __init__(self, target: int, port: int = 0) -> None:
        self.delay_s = 0.0
        self.is_deaf = False
        self.hung_up = 0
        """How many answers were reset."""
        self.taken = 0
        """How many connections were made."""
        self._is_gone = False
        self.target = target
        self._hang_ups_due = 0
        self._needle = b""
        self._server = socket.create_server((LOOPBACK, port))
        self.port: int = self._server.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def hang_up(self, times: int, when_asked: bytes) -> None:
        """Reset the next answers to requests in which `when_asked` stands."""
        self._needle = when_asked
        self._hang_ups_due = times

    def go_away(self) -> None:
        """Reset every connection, and each that is made from now on."""
        self._is_gone = True
        self._loop.call_soon_threadsafe(self._reset_all)

    def heal(self) -> None:
        """Pass on everything at once again; what a deaf time has swallowed stays lost, so its connections are reset."""
        was_deaf = self.is_deaf
        self.delay_s, self.is_deaf, self._is_gone = 0.0, False, False
        if was_deaf:
            self._loop.call_soon_threadsafe(self._reset_all)

    # --- the thread's side

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._server.setblocking(False)
        self._loop.add_reader(self._server, self._accept)
        try:
            self._loop.run_forever()
            self._loop.remove_reader(self._server)
            self._reset_all()
            while self._tasks:
                self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        finally:
            self._server.close()
            self._loop.close()

    def _reset_all(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _accept(self) -> None:
        try:
            near, _ = self._server.accept()
        except OSError:
            return  # it went before it was taken
        far = socket.socket()
        for each in (near, far):
            each.setblocking(False)
        self.taken += 1
        # Hung up on here, not in the task, which may be cancelled before it begins, and again while it ends.
        self._spawn(self._serve(near, far)).add_done_callback(lambda _: _hang_up(near, far))

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _serve(self, near: socket.socket, far: socket.socket) -> None:
        asked = bytearray()
        flows: list[asyncio.Task[bool]] = []
        try:
            if self._is_gone:
                return
            await self._loop.sock_connect(far, (LOOPBACK, self.target))
            flows = [
                self._spawn(self._there(near, far, asked)),
                self._spawn(self._back(far, near, asked)),
            ]
            done, _ = await asyncio.wait(flows, return_when=asyncio.FIRST_COMPLETED)
            if all(flow.exception() is None and flow.result() for flow in done):
                near.shutdown(socket.SHUT_RDWR)
                near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
                return
        except OSError:
            return  # one side is gone, and the other one shall be: see below
        finally:
            for flow in flows:
                flow.cancel()
            await asyncio.gather(*flows, return_exceptions=True)

    async def _there(self, near: socket.socket, far: socket.socket, asked: bytearray) -> bool:
        """From the client to the server, with what was asked kept as long as it may have to be hung up on."""
        while data := await self._loop.sock_recv(near, _CHUNK):
            if self._hang_ups_due:
                asked += data
            await self._pass_on(far, data)
        return True

    async def _back(self, far: socket.socket, near: socket.socket, asked: bytearray) -> bool:
        while data := await self._loop.sock_recv(far, _CHUNK):
            if self._hang_ups_due and self._needle in asked:
                self._hang_ups_due -= 1
                self.hung_up += 1
                return False
            asked.clear()
            await self._pass_on(near, data)
        return True

    async def _pass_on(self, to: socket.socket, data: bytes) -> None:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if not self.is_deaf:
            await self._loop.sock_sendall(to, data)


def _hang_up(*sockets: socket.socket) -> None:
    for each in sockets:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _HANG_UP)
        each.close()
