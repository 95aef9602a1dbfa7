"""The engine's configuration files: a small server, and roles so that a reader sees our database only."""

from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from causeline.stack.faults import environment_fault

READER_ROLE: Final = "causeline_reader"
OWNER_ROLE: Final = "causeline_owner"
BACKUPS: Final = "backups"
"""The folder of backups, beside the engine's own: nothing outside the data folder can be written (Landlock)."""

# A laptop's server: the caches of a big one would be most of its memory. Parts are synced, because only that tells
# the engine of a disk that was full when it wrote them (ADR 44).
_SERVER: Final = """\
<clickhouse>
    <background_pool_size>4</background_pool_size>
    <background_schedule_pool_size>4</background_schedule_pool_size>
    <mark_cache_size>134217728</mark_cache_size>
    <uncompressed_cache_size>0</uncompressed_cache_size>
    <index_mark_cache_size>33554432</index_mark_cache_size>
    <mmap_cache_size>0</mmap_cache_size>
    <max_server_memory_usage_to_ram_ratio>0.6</max_server_memory_usage_to_ram_ratio>
    <backups><allowed_path>{backups}</allowed_path></backups>
    <merge_tree>
        <fsync_after_insert>1</fsync_after_insert>
        <fsync_part_directory>1</fsync_part_directory>
        <min_rows_to_fsync_after_merge>1</min_rows_to_fsync_after_merge>
    </merge_tree>
</clickhouse>
"""

# The engine knows one user. It has no grants of its own, only the roles': roles add up, so SET ROLE to the
# reader's takes the owner's away.
_USERS: Final = f"""\
<clickhouse>
    <profiles><default/></profiles>
    <quotas><default/></quotas>
    <roles>
        <{OWNER_ROLE}>
            <grants><query>GRANT ALL ON *.* WITH GRANT OPTION</query></grants>
        </{OWNER_ROLE}>
        <{READER_ROLE}>
            <grants>
                <query>GRANT SELECT, SHOW ON {{database}}.*</query>
                <query>GRANT SELECT ON system.settings</query>
            </grants>
        </{READER_ROLE}>
    </roles>
    <users>
        <default>
            <password/>
            <networks><ip>127.0.0.1</ip></networks>
            <profile>default</profile>
            <quota>default</quota>
            <grants><query>GRANT {OWNER_ROLE}</query><query>GRANT {READER_ROLE}</query></grants>
        </default>
    </users>
</clickhouse>
"""


def write_config(folder: Path, *, database: str) -> dict[str, str]:
    """Writes the files into `folder`; returns the connection options that name them. Raises EnvironmentFault."""
    server, users = folder / "config.xml", folder / "users.xml"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        server.write_text(_SERVER.format(backups=escape(f"{folder.parent / BACKUPS}/")), "utf-8")
        users.write_text(_USERS.format(database=database), "utf-8")
    except OSError as error:
        raise environment_fault(error, f"the engine's configuration in {folder}") from error
    return {"config-file": str(server), "users_config": str(users)}
