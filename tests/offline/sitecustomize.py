"First on the path of a new process (`places.offline`), this takes its network away: only this machine answers."

import sys

HERE = ("localhost", "127.0.0.1", "::1", "0.0.0.0", "::", "", None)


def refuse(event, arguments):
    "An audit hook: what leaves through a socket, and what asks for another machine's address, fails."
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None  # a path is a socket on this machine
    else:
        return
    if (host.decode() if isinstance(host, bytes) else host) not in HERE:
        raise RuntimeError(f"there is no network in this test, and {event} asked for {host}")


sys.addaudithook(refuse)
