import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { environmentNames } from '../../src/config/environment.ts'
import { projectRoot, requiredProgram, temporaryFolder } from '../support/process.ts'

const read = (file: string) => readFileSync(join(projectRoot, file), 'utf8')
const files = ['deploy/compose.yml', 'deploy/compose.traefik.yml', 'deploy/systemd/postern.service']

describe('the files of deploy/', () => {
  it.each(files)('%s gives secrets as files only, under names that the configuration knows', file => {
    // What the compose file of Traefik starts is defined in the other one.
    const text = read(file).includes('extends:') ? read('deploy/compose.yml') : read(file)
    const names = [...text.matchAll(/\b(POSTERN_\w+)[:=]/g)].map(([, name = '']) => name)
    expect(names.length).toBe(4)
    for (const name of names) {
      expect(name).toMatch(/_FILE$/)
      expect([...environmentNames().keys()]).toContain(name.replace(/_FILE$/, ''))
    }
  })

  it.each(['deploy/compose.yml', 'deploy/compose.traefik.yml'])('%s locks every container up', file => {
    const { services: base } = parse(read('deploy/compose.yml'))
    const { services } = parse(read(file))
    for (const [name, service] of Object.entries<Record<string, unknown>>(services)) {
      const whole = service.extends === undefined ? service : base[name]
      expect(whole, name).toMatchObject({
        read_only: true,
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
      })
      expect(whole, name).toHaveProperty('mem_limit')
      expect(whole, name).toHaveProperty('pids_limit')
    }
  })

  it('the example configuration trusts the subnet of the compose network, and that alone', () => {
    const { networks } = parse(read('deploy/compose.yml'))
    const { server } = parse(read('deploy/config/configuration.yml'))
    expect(server.trusted_proxies).toEqual([networks.gate.ipam.config[0].subnet])
  })

  it('systemd understands the unit, and finds little to say against it', () => {
    const analyze = requiredProgram('systemd-analyze', 'apt-get install systemd')
    const folder = temporaryFolder()
    const unit = join(folder, 'postern.service')
    writeFileSync(unit, read('deploy/systemd/postern.service').replaceAll('/opt/postern/', `${projectRoot}/`))
    const verified = spawnSync(analyze, ['verify', '--man=no', '--recursive-errors=no', unit], { encoding: 'utf8' })
    expect(verified).toMatchObject({ status: 0, stdout: '', stderr: '' })
    const report = execFileSync(analyze, ['security', '--offline=true', '--no-pager', unit], { encoding: 'utf8' })
    expect(Number(/Overall exposure level for postern.service: ([\d.]+)/.exec(report)?.[1])).toBeLessThan(2)
  })

  it('row 178: no core dump, no inspector, no report with the environment, no secret by argument', () => {
    const image = read('Dockerfile')
    const unit = read('deploy/systemd/postern.service')
    for (const text of [image, unit]) {
      expect(text).toContain('--disable-sigusr1')
      expect(text).toContain('--report-exclude-env')
    }
    expect(unit).toMatch(/^LimitCORE=0$/m)
    expect(parse(read('deploy/compose.yml')).services.postern.ulimits).toEqual({ core: 0 })
    expect(image).not.toMatch(/^(ARG|ENV).*(SECRET|KEY|PASSWORD)/m)
  })
})
