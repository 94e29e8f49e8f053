import { expect } from 'chai';
import { parseDatabaseUrl } from '../../app/config/connection-url.js';

const parse = (url: string) => parseDatabaseUrl(url, 'DATABASE_URL');

function refusal(url: string): Error & { code: string } {
  try {
    parse(url);
  } catch (error) {
    return error as Error & { code: string };
  }
  throw new Error(`${url} was accepted`);
}

describe('a database URL', () => {
  it('is read with everything that it says', () => {
    expect(parse('postgresql://app:p%40ss%2Fw@db1:5433/cl%69nic?sslmode=verify-full&application_name=x')).to.deep.equal(
      {
        hosts: [{ host: 'db1', port: 5433 }],
        user: 'app',
        password: 'p@ss/w',
        database: 'clinic',
        parameters: { sslmode: 'verify-full', application_name: 'x' },
        foreign: [],
      },
    );
  });

  it('may name several hosts, with ports of their own or one for all', () => {
    expect(parse('postgres://u@a:1,b,[::1]:3/d').hosts).to.deep.equal([
      { host: 'a', port: 1 },
      { host: 'b' },
      { host: '::1', port: 3 },
    ]);
    expect(parse('postgres://u@a,b/d?port=6432').hosts).to.deep.equal([
      { host: 'a', port: 6432 },
      { host: 'b', port: 6432 },
    ]);
  });

  it('may name a socket folder, encoded or as a parameter', () => {
    expect(parse('postgresql://%2Fvar%2Frun%2Fpostgresql/d').hosts).to.deep.equal([{ host: '/var/run/postgresql' }]);
    expect(parse('postgresql:///d?host=/tmp&user=me').hosts).to.deep.equal([{ host: '/tmp' }]);
    expect(parse('postgresql:///d?host=/tmp&user=me').user).to.equal('me');
  });

  it('takes host and port as parameters in either order, also for several hosts', () => {
    for (const query of ['port=5433&host=/tmp', 'host=/tmp&port=5433']) {
      expect(parse(`postgresql:///db?${query}`).hosts, query).to.deep.equal([{ host: '/tmp', port: 5433 }]);
    }
    expect(parse('postgresql://:5433/db?host=/tmp').hosts).to.deep.equal([{ host: '/tmp', port: 5433 }]);
    expect(parse('postgresql:///db?port=1,2&host=a,b').hosts).to.deep.equal([
      { host: 'a', port: 1 },
      { host: 'b', port: 2 },
    ]);
  });

  it('may carry what an object mapper put in', () => {
    expect(parse('postgres://u@h/d?schema=public&pgbouncer=true').foreign).to.deep.equal(['schema', 'pgbouncer']);
  });

  const broken: readonly (readonly [string, RegExp])[] = [
    ['', /empty/],
    ['mysql://u:hunter2hunter2@h/d', /begins with "mysql:\/\/"/],
    ['app:hunter2hunter2@db/clinic', /does not begin/],
    ['"postgresql://u:hunter2hunter2@h/d"', /quotation mark/],
    ['postgresql://u:hunter2@hunter2@h/d', /more than one "@"/],
    ['postgresql://u:hunter2/hunter2@h/d', /"\/" or "@"/],
    ['postgresql://u:hunter2#hunter2@h/d', /#/],
    ['postgresql://u:hunter2hunter2%@h/d', /percent-encoding of its password/],
    ['postgresql://u:hunter2hunter2@h:port/d', /port/],
    ['postgresql://u:hunter2hunter2@h:99999/d', /port/],
    ['postgresql://u:hunter2hunter2@h/d?sslmod=require', /unsupported parameter "sslmod"/],
    ['postgresql://u:hunter2hunter2@h/d?hostaddr=10.0.0.1', /unsupported parameter "hostaddr"/],
    ['postgresql://u:hunter2hunter2@h/d e', /white space/],
    ['postgresql://u:hunter2hunter2@h/d?host=other', /a host both before the path and as a parameter/],
    ['postgresql://u:hunter2hunter2@/d?port=1,2,3&host=a,b', /as many ports as hosts/],
  ];
  for (const [url, reason] of broken) {
    it(`is refused in plain words, without its password: ${url || '(empty)'}`, () => {
      const error = refusal(url);
      expect(error.code).to.equal('INVALID_DATABASE_URL');
      expect(error.message).to.match(reason);
      expect(JSON.stringify([error.message, error])).not.to.contain('hunter2');
    });
  }
});
