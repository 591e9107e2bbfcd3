"""The catalogue of what users read, in English and Simplified Chinese: one entry a message.

The doctor's texts stand with its checks (checks.py). tests/unit/test_messages.py demands both languages of every entry,
with the same placeholders.

Runs on the host's own Python, which may be as old as 3.8.
"""

from __future__ import annotations

from typing import Mapping, NamedTuple  # noqa: UP035

LANGUAGES = ("en", "zh")


class Text(NamedTuple):
    """A text in both languages; ``{names}`` in it are filled when it is said."""

    en: str
    zh: str


MESSAGES: Mapping[str, Text] = {
    # at the end of a run
    "summary.again": Text("run the same command again", "再运行一次同样的命令"),
    # the Windows side of WSL (library/windows_side.py)
    "windows.config": Text("on Windows, write into {path}:", "在 Windows 上，在 {path} 中写入："),
    "windows.config_done": Text("written into {path}:", "已写入 {path}："),
    "windows.unread": Text(
        "{key}={value} in .wslconfig is no size that is known; it stays as it is",
        ".wslconfig 中的 {key}={value} 不是可识别的大小，保持不变",
    ),
    "windows.ram_unknown": Text(
        "(Windows could not be asked for its memory: with some to spare, memory= of the same size is faster)",
        "（无法向 Windows 查询内存大小：如有富余，再写同样大小的 memory= 会更快）",
    ),
    "windows.swap": Text(
        "{swap} of it is swap, because Windows needs memory of its own; loading then takes longer",
        "其中 {swap} 是交换空间，因为 Windows 自己也需要内存；加载会因此变慢",
    ),
    "windows.raised": Text("your {key}={before} is raised to {after}", "您设置的 {key}={before} 提高到 {after}"),
    "windows.systemd": Text(
        "in {path} (for a chat that starts with the distribution):", "在 {path} 中（让聊天随发行版启动）："
    ),
    "windows.shutdown": Text(
        "last of all, in PowerShell; it ends all that runs in WSL:",
        "最后，在 PowerShell 中执行；它会结束 WSL 中的一切：",
    ),
    "windows.shortcut": Text(
        "a shortcut to {url} on the Windows desktop: -e chatglm_windows=apply",
        "在 Windows 桌面上创建 {url} 的快捷方式：-e chatglm_windows=apply",
    ),
    "windows.shortcut_done": Text("shortcut to {url}: {path}", "{url} 的快捷方式：{path}"),
    # the way out (library/uninstall.py)
    "uninstall.removed": Text(
        "removed    {files} files in {home}: {size} freed", "已删除    {home} 中的 {files} 个文件，释放 {size}"
    ),
    "uninstall.would": Text(
        "would remove  {files} files in {home}: {size}", "将会删除  {home} 中的 {files} 个文件，共 {size}"
    ),
    "uninstall.stopped": Text("stop       {process}", "停止      {process}"),
    "uninstall.elsewhere": Text("remove     {path}", "删除      {path}"),
    "uninstall.packages": Text("remove     packages {names}", "删除      软件包 {names}"),
    "uninstall.nothing": Text("nothing to remove in {home}", "{home} 中没有可删除的内容"),
    "uninstall.kept": Text("kept       {path}: {why}", "保留      {path}：{why}"),
    "uninstall.kept_folder": Text("kept       {path} ({files} in it): {why}", "保留      {path}（{files} 项）：{why}"),
    "uninstall.more": Text(
        "kept       {count} more (ansible-playbook -v shows all)",
        "保留      另有 {count} 项（ansible-playbook -v 显示全部）",
    ),
    "uninstall.needed": Text("kept       package {name}: {by} needs it", "保留      软件包 {name}：{by} 需要它"),
    "uninstall.wslconfig": Text(
        "kept       {path}: memory and swap of WSL, for you to lower again",
        "保留      {path}：WSL 的内存和交换空间，可自行调低",
    ),
    "uninstall.unknown": Text(
        "kept       {item}: no record shows that it came from here; if not needed: sudo rm {item}",
        "保留      {item}：没有记录表明它来自本项目；如不需要：sudo rm {item}",
    ),
    "uninstall.unknown_package": Text(
        "kept       package {item}: no record shows that it came from here; if not needed: sudo apt-get remove {item}",
        "保留      软件包 {item}：没有记录表明它来自本项目；如不需要：sudo apt-get remove {item}",
    ),
    "uninstall.yours": Text("not put there by this project", "不是本项目放置的"),
    "uninstall.edited": Text("changed since it was installed", "安装后被修改过"),
    "uninstall.package": Text("of a package that you installed", "属于您自己安装的软件包"),
    "uninstall.commits": Text("the clone has commits, branches or hooks of yours", "该克隆中有您的提交、分支或钩子"),
    "uninstall.link": Text("a symbolic link, which is not followed", "符号链接，不会跟随"),
    "uninstall.asked": Text("kept as asked for (chatglm_keep_weights)", "按要求保留（chatglm_keep_weights）"),
    "uninstall.unproven": Text(
        "no record shows what of it is yours; if nothing is, remove it",
        "没有记录表明其中哪些是您的；如果都不是，请自行删除",
    ),
    "uninstall.mount": Text("another file system is mounted there", "那里挂载了另一个文件系统"),
}


def say(language: str, code: str, **values: object) -> str:
    """Return the message ``code`` in ``language`` (en or zh), with ``values`` in its placeholders.

    Raises:
        KeyError: no such message, or a placeholder without a value.

    """
    text = MESSAGES[code]
    return (text.zh if language == "zh" else text.en).format_map(values)


def spoken(setting: str, environment: Mapping[str, str]) -> str:
    """Return en or zh: ``setting`` (chatglm_language: en, zh or auto), or what the locale of ``environment`` says.

    C and POSIX say nothing: ./bootstrap sets C.UTF-8 where the user's own locale is not installed.
    """
    if setting in LANGUAGES:
        return setting
    values = (environment.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    told = next((value for value in values if value and value.partition(".")[0] not in {"C", "POSIX"}), "")
    return "zh" if told.startswith("zh") else "en"
