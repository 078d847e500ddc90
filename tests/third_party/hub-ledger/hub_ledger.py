import msgspec

from hub.connector import Call, Connector, action
from hub.errors import ActionRefused


class Settings(msgspec.Struct):
    file: str


class Line(msgspec.Struct):
    text: str


class Noted(msgspec.Struct):
    lines: int


class Ledger(Connector):
    """Notes lines in a file of the project."""

    name = "ledger"
    settings_type = Settings

    @action()
    async def note(self, line: Line, call: Call) -> Noted:
        """Note a line. An attempt that is repeated does not note it again."""
        if "\n" in line.text:
            raise ActionRefused("ledger_line", "text: must be one line")
        path = self.project / self.settings.file
        lines = path.read_text().splitlines() if path.exists() else []
        if not any(noted.startswith(f"{call.idempotency_key}\t") for noted in lines):
            lines.append(f"{call.idempotency_key}\t{line.text}")
            path.write_text("\n".join(lines) + "\n")
        return Noted(lines=len(lines))
