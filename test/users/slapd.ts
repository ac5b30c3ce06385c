import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { generate } from 'selfsigned'
import { freePort, requiredProgram, start, temporaryFolder, until } from '../support/process.ts'

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

dn: cn=dev,ou=groups,dc=example,dc=com
objectClass: groupOfNames
cn: dev
member: uid=john,ou=people,dc=example,dc=com

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
  /** Of ldaps. */
  readonly securePort: number
  /** PEM; the server's certificate is for localhost. */
  readonly ca: string
  readonly key: string
  stop(signal?: NodeJS.Signals): Promise<unknown>
  signal(signal: NodeJS.Signals): void
}

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
    `${['core', 'cosine', 'inetorgperson'].map(name => `include /etc/ldap/schema/${name}.schema`).join('\n')}
modulepath /usr/lib/ldap
moduleload back_mdb
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
`,
  )
  const add = start(slapadd, ['-f', at('slapd.conf'), '-l', at('people.ldif')], { cleanup })
  if ((await add.exit) !== 0) throw new Error(add.output())
  const port = await freePort()
  const securePort = await freePort()
  const addresses = `ldap://127.0.0.1:${port}/ ldaps://127.0.0.1:${securePort}/`
  const running = start(slapd, ['-f', at('slapd.conf'), '-h', addresses, '-d', '0'], { cleanup })
  await until(
    () =>
      new Promise<boolean>(resolve => {
        const socket = connect(port, '127.0.0.1')
        socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
        socket.on('connect', () => socket.destroy())
      }),
    `slapd listens: ${running.output()}`,
  )
  return {
    port,
    securePort,
    ca: certificate.cert,
    key: certificate.private,
    stop: running.stop,
    signal: signal => void running.child.kill(signal),
  }
}
