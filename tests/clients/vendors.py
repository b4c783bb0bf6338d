"""The vendors, one row each: what the checks know of them beyond what the program prints. A new vendor adds a row."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Vendor:
    """One vendor."""

    # ID of its center in the sandbox, and in the configuration that `simulate` prints.
    center: str
    # Its simulator's default port in the sandbox.
    port: int
    # The last key that `simulate` prints, which is the secret.
    secret: str
    # The keys of a center with its credentials; nobody calls it.
    keys: str
    # What only some vendors have a metric of: access tokens, the clock of signatures.
    series: tuple
    # What examples/first_day prints at its center.
    first_day: str

    @property
    def name(self) -> str:
        """Name of its center."""
        return f"centers/{self.center}"


VENDORS = {
    "udesk": Vendor(
        center="acme",
        port=8081,
        secret="auth_token",
        keys='app_id = "app"\nsid = "sid"\nauth_token = "token"\n',
        series=("clock",),
        first_day="""\
centers/acme is a center of udesk
queues: Sales, Billing, Support, Complaints
created centers/acme/agents/<id>
in the queues: Sales, Billing
signed in
agents of Sales: Mara Lindholm, Theo Okafor, Ines Carvalho, Grace Tamura, Emil Vasko, Vera Lund
signed out
in the queues: none
disabled, because this center deletes no agents
""",
    ),
    "huawei": Vendor(
        center="beta",
        port=8082,
        secret="app_secret",
        keys='app_key = "key"\napp_secret = "secret"\n',
        series=("token",),
        first_day="""\
centers/beta is a center of huawei
queues: Support, Sales, Chat, Video
created centers/beta/agents/<id>
in the queues: Support, Sales
signed in
agents of Support: Anna Berg, Ben Okafor, Chen Yu, Dana Silva, Goran Lind, Vera Lund
signed out
in the queues: none
deleted
""",
    ),
}

# A center of each vendor, which nobody calls.
CENTERS = "".join(
    f'[{vendor.name.replace("/", ".")}]\nvendor = "{name}"\nbase_url = "https://{vendor.center}.example.com"\n{vendor.keys}'
    for name, vendor in VENDORS.items()
)
