"""A mail server for the example: asks for the password in the file `mail_password`, appends messages to `outbox`."""

import base64
import os
import socketserver
from pathlib import Path


class Mail(socketserver.StreamRequestHandler):
    """The few words of SMTP (RFC 5321, RFC 4954) that smtplib says."""

    def handle(self):
        """Talk to one client until it quits."""
        self.reply("220 mail")
        known = False
        while words := self.rfile.readline().decode().split():
            verb = words[0].upper()
            if verb == "EHLO":
                self.reply("250-mail", "250 AUTH PLAIN")
            elif verb == "AUTH":
                known = base64.b64decode(words[2]).split(b"\0")[2] == Path("mail_password").read_bytes()
                self.reply("235 welcome" if known else "535 wrong password")
            elif verb == "DATA" and known:
                self.reply("354 go on")
                with open("outbox", "ab") as outbox:
                    while (line := self.rfile.readline()) not in (b".\r\n", b""):
                        outbox.write(line)
                self.reply("250 kept")
            elif verb == "QUIT":
                return self.reply("221 bye")
            else:
                self.reply("250 fine" if known else "530 log in first")
        return None

    def reply(self, *lines):
        """Send lines."""
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())


if __name__ == "__main__":
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    socketserver.ThreadingTCPServer(("127.0.0.1", int(os.environ["SMTP_PORT"])), Mail).serve_forever()
