import { expect } from 'chai';
import { redact, redactDeep, registerSecret } from '../../app/config/redaction.js';

describe('the redactor', () => {
  it('masks the password of every URL, also one that is not encoded', () => {
    expect(redact('see postgresql://app:s3cret@db/x and postgres://a:p@ss/w:rd@h:1/y.')).to.equal(
      'see postgresql://app:***@db/x and postgres://a:***@h:1/y.',
    );
  });

  it('leaves a URL without a password as it is', () => {
    expect(redact('postgresql://app@db:5432/clinic?sslmode=require')).to.equal(
      'postgresql://app@db:5432/clinic?sslmode=require',
    );
  });

  it('masks parameters and SQL that hold a password', () => {
    expect(redact("host=db password='a b' user=x")).to.equal('host=db password=*** user=x');
    expect(redact('PGPASSWORD=abc psql')).to.equal('PGPASSWORD=*** psql');
    expect(redact("alter role app password 'it''s'")).to.equal("alter role app password '***'");
  });

  it('masks a registered secret in every spelling', () => {
    registerSecret('c@nary/"42"');
    expect(redact(`${encodeURIComponent('c@nary/"42"')} ${JSON.stringify('c@nary/"42"')} c@nary/"42"`)).to.equal(
      '*** "***" ***',
    );
  });

  it('does not mask a password that is also a public name', () => {
    registerSecret('postgres', ['postgres', 'clinic']);
    expect(redact('role "postgres" does not exist')).to.equal('role "postgres" does not exist');
  });

  it('reaches into objects and lists, and keeps what is no text', () => {
    registerSecret('canary-in-depth');
    expect(redactDeep({ a: ['x canary-in-depth'], b: { c: 1, d: null } })).to.deep.equal({
      a: ['x ***'],
      b: { c: 1, d: null },
    });
  });
});
