"""Which environment variables a secret may fill.

Whoever may write a secret chooses its name and its value. If the name were that of a variable by which a program takes
code, that person would run code as whoever types `strongroom run`. No list can name all such variables, so the rule
goes by what names say. By convention the last word of a variable says what its value is: a path, options, a program,
settings. A value of that kind is no secret; a password, token or key is, and no program runs one as code.

1. The variables of program loaders, shells, interpreters, git and strongroom itself are refused, whoever asks.
2. Names whose last word says path, options, program or settings, and the variables of other tools that load code, are
   refused unless the human names them (`--env`, `--only`): the name then does not come from the store.
3. A name whose last word is a password, token, key or the like passes, also in the name of a tool (`GIT_TOKEN`).
"""

from __future__ import annotations

from strongroom.errors import InvalidInputError
from strongroom.settings.config import VARIABLE

_OURS = ("STRONGROOM_", VARIABLE)
_CREDENTIALS = frozenset((
    "TOKEN", "TOKENS", "PASSWORD", "PASSWORDS", "PASSWD", "PASSPHRASE", "PASS", "PWD", "SECRET", "SECRETS", "KEY",
    "KEYS", "APIKEY", "AUTH", "AUTHTOKEN", "CREDENTIAL", "CREDENTIALS", "SALT", "PEPPER", "PIN", "COOKIE", "JWT",
    "PEM", "CERT", "CERTIFICATE", "USERNAME", "EMAIL",
))  # fmt: skip
# Never filled: what these programs take from the environment decides which code they run.
_NEVER_STARTS = (
    "LD_", "LDR_", "_RLD", "DYLD_", "GLIBC_", "LIBC_", "MALLOC_", "GCONV_", "BASH", "ZSH", "FISH_", "PYTHON",
    "PERL", "RUBY", "NODE_", "PHP_", "LUA_", "JAVA_", "_JAVA", "JDK_", "JRE_", "JVM_", "DOTNET_", "COR_",
    "CORECLR_", "COMPLUS_", "MONO_", "ERL_", "ELIXIR_", "JULIA_", "R_", "GUILE_", "OCAML", "CAML_", "GHC", "GIT_",
    "MAKEF", "MAKEO", "GNUMAKE",
)  # fmt: skip
_NEVER = frozenset((
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "OLDPWD", "TMPDIR", "TMP", "TEMP", "TERM", "TERMINFO",
    "TERMCAP", "IFS", "ENV", "CDPATH", "FPATH", "ZDOTDIR", "PS0", "PS1", "PS2", "PS3", "PS4", "PROMPT",
    "GLOBIGNORE", "SHELLOPTS", "PROMPT_COMMAND", "ARGV0", "NULLCMD", "READNULLCMD", "TMPPREFIX", "HOSTALIASES",
    "LOCALDOMAIN", "AUTHSTATE", "MFLAGS", "RES_OPTIONS", "NLSPATH", "LOCPATH", "GETCONF_DIR", "EDITOR", "VISUAL",
    "PAGER", "CLASSPATH", "SSLKEYLOGFILE", "EXINIT", "VIMINIT", "LESSOPEN", "LESSCLOSE", "MANPAGER", "BROWSER",
    "PHPRC",
))  # fmt: skip
# Filled only if a human says so: settings that lead to code, servers, proxies, certificates.
_ASKED_STARTS = (
    "NPM_", "YARN_", "PNPM_", "BUN_", "DENO_", "ELECTRON_", "TS_NODE_", "PIP_", "PIPENV_", "PIPX_", "UV_",
    "POETRY_", "CONDA_", "PYENV_", "RBENV_", "NVM_", "GEM_", "BUNDLE_", "BUNDLER_", "COMPOSER_", "CARGO_", "RUSTC",
    "RUSTDOC", "RUSTUP_", "CGO_", "GCC_", "CMAKE_", "NINJA_", "CCACHE_", "DISTCC_", "MAVEN_", "MVN_", "GRADLE_",
    "HOMEBREW_", "PYTEST_", "COVERAGE_", "TOX_", "GUNICORN_", "UVICORN_", "ANSIBLE_", "TF_CLI_", "HELM_",
    "SYSTEMD_", "DBUS_", "XDG_", "GTK_", "QT_", "GIO_", "GST_", "OPENSSL_", "CURL_", "KRB5", "SASL_", "EMACS",
    "NVIM_", "TMUX_", "LESS", "MAGICK_", "SDL_", "ASAN_", "UBSAN_", "LSAN_", "TSAN_", "MSAN_", "UWSGI_",
    "HARNESS_", "DEBCONF_", "NEEDRESTART_", "MIX_", "STACK_", "CABAL_", "NIX_", "GUIX_", "NNN_", "SYSTEMTAP_", "OMPI_",
    "PMIX_", "PRTE_", "I_MPI_", "HYDRA_", "SBATCH_", "SRUN_", "CATALINA_", "SPRING_CONFIG_", "SPRING_CLOUD_BOOTSTRAP_",
    "TEXMF", "GROFF_", "WINE", "DIRENV_", "PULSE_", "P11_KIT_", "SSH_SK_", "SSH_PKCS11_", "FLASK_RUN_", "MSBUILD",
    "NUGET_", "GDAL_", "GRASS_", "MAXIMA_", "LIBVA_", "VDPAU_", "GBM_", "__GLX_", "__EGL_", "VK_ICD", "VK_LAYER",
    "VK_INSTANCE", "OCL_ICD", "BUILDAH_", "CONTAINERS_", "PLT", "ZOO",
)  # fmt: skip
_ASKED = frozenset((
    "AR", "AS", "CC", "CPP", "CXX", "F77", "FC", "LD", "LEX", "NM", "YACC", "RANLIB", "GOPROXY", "GOROOT",
    "GOSUMDB", "GZIP", "BZIP", "BZIP2", "UNZIP", "ZIPINFO", "ZIPOPT", "XZ_DEFAULTS", "TAPE", "LESS", "MORE",
    "MANOPT", "VIM", "VIMRUNTIME", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "PATH_LOCALE", "TMUX", "VAR_ACE",
    "USR_ACE", "DLC_ACE", "LDAPCONF", "MPLBACKEND", "SVN_SSH", "CVSROOT", "GMON_OUT_PREFIX", "POSIXLY_CORRECT",
    "FLASK_APP", "FLASK_DEBUG", "VIRTUAL_ENV", "GOENV", "GOVCS", "GOTOOLCHAIN", "GODEBUG", "TNS_ADMIN", "ODBCINI",
    "ODBCINSTINI", "ODBCSYSINI", "COMSPEC", "PATHEXT", "FCEDIT", "HISTEDIT", "HG", "P4DIFF", "SENDMAIL", "MH",
    "GOWORK", "GOINSECURE", "GONOSUMDB", "GOPRIVATE", "GOCACHE", "GOMODCACHE", "GCCGO", "CROSS_COMPILE", "HOSTCC",
    "HOSTCXX", "STRIP", "OBJCOPY", "OBJDUMP", "LDSHARED", "NVCC", "SWIFTC", "AUTOM4TE", "ACLOCAL", "AUTOCONF",
    "AUTOMAKE", "AUTOHEADER", "AUTOPOINT", "LIBTOOLIZE", "GTKDOCIZE", "INTLTOOLIZE", "M4", "AWK", "SED", "GREP",
    "EGREP", "TAR", "INSTALL", "CONFIG_SITE", "SHELL_ESCAPE", "shell_escape", "openout_any", "openin_any", "TEX",
    "LATEX", "PDFTEX", "PDFLATEX", "BIBTEX", "MAKEINDEX", "MAKEINFO", "TF_REATTACH_PROVIDERS", "CL_SOURCE_REGISTRY",
    "SPRING_APPLICATION_JSON", "KERAS_BACKEND", "AIRFLOW__SECRETS__BACKEND", "DEBIAN_FRONTEND", "DOCKER_HOST",
    "DOCKER_CONTEXT", "CONTAINER_HOST", "LIBVIRT_DEFAULT_URI", "VIRSH_DEFAULT_CONNECT_URI", "QEMU_AUDIO_DRV",
    "MC_XDG_OPEN", "READER", "HUSKY", "GISBASE", "ROOTSYS", "DPKG_ROOT", "MAILCAPS",
))  # fmt: skip
_KINDS = (
    "PATH", "PATHS", "HOME", "DIR", "DIRS", "DIRECTORY", "FOLDER", "FOLDERS", "FILE", "FILES", "FILENAME", "FILENAMES",
    "LIBRARY", "LIBRARIES", "ASSEMBLIES", "JARS", "PRELOAD", "LOADER", "LINKER", "TOOLCHAIN", "FLAGS", "OPT", "OPTS",
    "OPTIONS", "SWITCHES", "ARGS", "ARGUMENTS", "RUNPARAM", "SHELL", "PAGER", "EDITOR", "BROWSER", "OPENER", "MERGE",
    "DIFF", "CMD", "COMMAND", "PROG", "PROGRAM", "BIN", "BINARY", "EXECUTABLE", "EXECUTOR", "INTERPRETER", "PYTHON",
    "PERL", "RUBY", "JAVA", "COMPILER", "WRAPPER", "LAUNCHER", "RUNNER", "RUNTIME", "HELPER", "ASKPASS", "PLUGIN",
    "PLUGINS", "EXTENSIONS", "MODULE", "MODULES", "CLASS", "ENGINES", "INIT", "STARTUP", "PROLOG", "EPILOG",
    "PROFILER", "CONFIG", "CONFIGURATION", "CONF", "CFG", "CNF", "INPUTS", "PROXY",
)  # fmt: skip
"""The last word, or the end of one: MAKEFLAGS, KUBECONFIG."""
_KIND_WORDS = frozenset((
    "LIB", "LIBS", "OPTION", "ARG", "EXEC", "SCRIPT", "SCRIPTS", "RSH", "SSH", "BASH", "RC", "SOCK", "HOOK", "HOOKS",
    "BUNDLE", "ARCHIVES", "LAYERS", "VENDORS", "PLUG",
))  # fmt: skip
"""The last word only: names end in these letters by chance."""
_HARMLESS = frozenset(("NODE_ENV",))
"""Usual in `.env` files, and read by programs as one of a few words."""


def good(variable: str) -> bool:
    """True for what can be a variable's name."""
    # A regular expression would say the same, and take a hundredth of `strongroom run` to be compiled.
    return variable.isascii() and variable.isidentifier()


def check_variable(variable: str, name: str, *, asked: bool = False) -> str:
    """Return the variable if the secret `name` may fill it; `asked` when a human typed its name.

    Raises `InvalidInputError`.
    """
    if not good(variable):
        raise InvalidInputError(f"{variable!a} is no variable's name; use letters, digits and _", name=name)
    if decides_on_code(variable):
        raise InvalidInputError(
            f"{name!r} would set {variable}, which makes programs run other code or use other files; "
            f"choose another variable: --env VARIABLE={name}",
            name=name,
        )
    if not asked and may_lead_to_code(variable):
        raise InvalidInputError(
            f"{name!r} would set {variable}, from which programs may take settings or code, and the name comes from "
            f'the store; if it is right, name it: --env {variable}={name} (with --prefix "" all others are passed too)',
            name=name,
        )
    return variable


def decides_on_code(variable: str) -> bool:
    """True for a variable that no secret may fill."""
    upper = variable.upper()
    if upper.startswith(_OURS) or variable in _NEVER:
        return True
    return upper.startswith(_NEVER_STARTS) and not _is_credential(upper) and upper not in _HARMLESS


def may_lead_to_code(variable: str) -> bool:
    """True for a variable that a secret may fill only when a human typed the variable's name."""
    upper = variable.upper()
    if variable in _ASKED:
        return True
    if _is_credential(upper):
        return False
    # GIT_CONFIG_KEY_0, LUA_INIT_5_4: a number says nothing about the kind.
    plain = upper.rstrip("0123456789_")
    last = plain.rpartition("_")[2]
    return (
        upper.startswith(_ASKED_STARTS)
        or last in _KIND_WORDS
        or (plain.endswith(_KINDS) and last != "PROFILE")
        or (len(last) > 4 and last.endswith("RC"))
    )


def _is_credential(upper: str) -> bool:
    return upper.rpartition("_")[2] in _CREDENTIALS
