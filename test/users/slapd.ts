import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { Attribute, Change, Client } from 'ldapts'
import { generate } from 'selfsigned'
import { freePort, freeze, requiredProgram, start, temporaryFolder, until } from '../support/process.ts'

type Cleanup = (end: () => void | Promise<void>) => void

const people = String.raw`dn: dc=example,dc=com
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: cn=postern,dc=example,dc=com
objectClass: applicationProcess
objectClass: simpleSecurityObject
cn: postern
userPassword: service

dn: ou=people,dc=example,dc=com
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=example,dc=com
objectClass: organizationalUnit
ou: groups

dn: uid=john,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: john
cn: John
sn: Doe
displayName: John Doe
mail: john@example.com
userPassword: johns password
seeAlso: cn=dev,ou=groups,dc=example,dc=com
seeAlso: cn=a\+b,ou=groups,dc=example,dc=com

dn: uid=jane,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: jane
cn: Jane
sn: Doe
mail: shared@example.com
userPassword: janes password

dn: uid=joan,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: joan
cn: Joan
sn: Doe
mail: shared@example.com
userPassword: joans password

dn: ou=others,dc=example,dc=com
objectClass: organizationalUnit
ou: others

dn: cn=dev,ou=others,dc=example,dc=com
objectClass: groupOfNames
cn: dev
description: of the others
member: uid=jane,ou=people,dc=example,dc=com

dn: cn=dev,ou=groups,dc=example,dc=com
objectClass: groupOfNames
cn: dev
description: of john
member: uid=john,ou=people,dc=example,dc=com

dn: uid=ann,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: ann
cn: Ann
sn: Three
mail: shared@example.com
userPassword: anns password

dn: uid=two,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: two
uid: names
cn: Two
sn: Names
userPassword: twos password

dn: ou=elsewhere,ou=people,dc=example,dc=com
objectClass: referral
objectClass: extensibleObject
ou: elsewhere
ref: ldap://localhost:1/ou=people,dc=example,dc=com

dn: cn=staff,ou=groups,dc=example,dc=com
objectClass: groupOfNames
cn: staff
member: cn=dev,ou=groups,dc=example,dc=com

dn: cn=with\, comma,ou=groups,dc=example,dc=com
objectClass: groupOfNames
cn: with, comma
member: uid=john,ou=people,dc=example,dc=com
`

export interface Slapd {
  readonly port: number
  /** Of ldapi. */
  readonly socket: string
  /** Of ldaps. */
  readonly securePort: number
  /** PEM; the server's certificate is for localhost. */
  readonly ca: string
  readonly key: string
  stop(signal?: NodeJS.Signals): Promise<unknown>
  freeze(): void
  thaw(): void
  /** Again, after it was stopped: with the same people at the same places. */
  start(): Promise<void>
  /** As its administrator. */
  change(use: (client: Client) => Promise<unknown>): Promise<void>
}

/** One attribute of an entry has these values from now on; none removes it. */
export const replace = (type: string, ...values: string[]) =>
  new Change({ operation: 'replace', modification: new Attribute({ type, values }) })

/** The real OpenLDAP with a few people, in a folder of its own. */
export async function startSlapd(cleanup: Cleanup): Promise<Slapd> {
  const slapd = requiredProgram('slapd', 'apt-get install slapd ldap-utils')
  const slapadd = requiredProgram('slapadd', 'apt-get install slapd ldap-utils')
  const folder = temporaryFolder(cleanup)
  const at = (name: string) => join(folder, name)
  mkdirSync(at('db'))
  const certificate = await generate([{ name: 'commonName', value: 'localhost' }], {
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] },
    ],
  })
  writeFileSync(at('cert.pem'), certificate.cert)
  writeFileSync(at('key.pem'), certificate.private)
  chmodSync(at('key.pem'), 0o600)
  writeFileSync(at('people.ldif'), people)
  writeFileSync(
    at('slapd.conf'),
    `${['core', 'cosine', 'inetorgperson', 'dyngroup'].map(name => `include /etc/ldap/schema/${name}.schema`).join('\n')}
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
moduleload dynlist
TLSCACertificateFile ${at('cert.pem')}
TLSCertificateFile ${at('cert.pem')}
TLSCertificateKeyFile ${at('key.pem')}
allow bind_anon_cred
database mdb
suffix "dc=example,dc=com"
rootdn "cn=root,dc=example,dc=com"
rootpw root
directory ${at('db')}
access to attrs=userPassword by anonymous auth by * none
access to * by users read by * none
overlay ppolicy
overlay dynlist
dynlist-attrset groupOfURLs memberURL member+memberOf@groupOfNames*
`,
  )
  const add = start(slapadd, ['-f', at('slapd.conf'), '-l', at('people.ldif')], { cleanup })
  if ((await add.exit) !== 0) throw new Error(add.output())
  const port = await freePort()
  const securePort = await freePort()
  const socket = at('ldapi')
  const addresses = `ldap://127.0.0.1:${port}/ ldaps://127.0.0.1:${securePort}/ ldapi://${encodeURIComponent(socket)}/`
  const begin = async () => {
    const running = start(slapd, ['-f', at('slapd.conf'), '-h', addresses, '-d', '0'], { cleanup })
    await until(
      () =>
        new Promise<boolean>(resolve => {
          const probe = connect(port, '127.0.0.1')
          probe.on('connect', () => resolve(true)).on('error', () => resolve(false))
          probe.on('connect', () => probe.destroy())
        }),
      `slapd listens: ${running.output()}`,
    )
    return running
  }
  let running = await begin()
  return {
    port,
    securePort,
    socket,
    ca: certificate.cert,
    key: certificate.private,
    stop: signal => running.stop(signal),
    freeze: () => freeze(running.child.pid),
    thaw: () => void running.child.kill('SIGCONT'),
    async start() {
      running = await begin()
    },
    async change(use) {
      const client = new Client({ url: `ldap://127.0.0.1:${port}` })
      await client.bind('cn=root,dc=example,dc=com', 'root')
      await use(client)
      await client.unbind()
    },
  }
}
