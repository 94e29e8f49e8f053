import { expect } from 'chai';
import { getDetachedCopy, getEntityDict } from '../../app/services/entities.js';

class Invoice {
  constructor(
    readonly id: number,
    readonly lines: { amount: number }[],
    readonly issued: Date,
  ) {}

  total(): number {
    return this.lines.reduce((sum, { amount }) => sum + amount, 0);
  }
}

describe('an entity outside its session', () => {
  it('is a copy that the original cannot change', () => {
    const original = { id: 1, tags: ['a'], at: new Date(0), bytes: Buffer.from('x') };
    const copy = getDetachedCopy(original);
    original.tags.push('b');
    original.at.setFullYear(1999);
    original.bytes[0] = 0;
    expect(copy).to.deep.equal({ id: 1, tags: ['a'], at: new Date(0), bytes: Buffer.from('x') });
  });

  it('cannot be changed, however deep', () => {
    const copy = getDetachedCopy({ a: { b: [{ c: 1 }] } }) as { a: { b: { c: number }[] } };
    expect(() => {
      (copy.a.b[0] as { c: number }).c = 2;
    }).to.throw(TypeError);
    expect(() => copy.a.b.push({ c: 3 })).to.throw(TypeError);
  });

  it('is plain: values without class or functions', () => {
    const copy = getDetachedCopy(new Invoice(1, [{ amount: 2 }], new Date(5)));
    expect(Object.getPrototypeOf(copy)).to.equal(Object.prototype);
    expect(copy).to.deep.equal({ id: 1, lines: [{ amount: 2 }], issued: new Date(5) });
  });

  it('may go in circles', () => {
    const parent: { child?: unknown } = {};
    parent.child = { parent };
    const copy = getDetachedCopy(parent) as { child: { parent: unknown } };
    expect(copy.child.parent).to.equal(copy);
    expect(copy).not.to.equal(parent);
  });

  it('keeps a property called __proto__ a property', () => {
    const copy = getDetachedCopy(JSON.parse('{"__proto__": {"admin": true}}')) as Record<string, unknown>;
    expect((copy as { admin?: boolean }).admin).to.equal(undefined);
    expect(Object.keys(copy)).to.deep.equal(['__proto__']);
  });

  it('becomes a plain object of what is wanted', () => {
    const user = { id: 1, name: 'x', password_hash: 'secret', greet: () => 'hi' };
    expect(getEntityDict(user)).to.deep.equal({ id: 1, name: 'x', password_hash: 'secret' });
    expect(getEntityDict(user, { exclude: ['password_hash'] })).to.deep.equal({ id: 1, name: 'x' });
    expect(getEntityDict(user, { include: ['id', 'password_hash'], exclude: ['password_hash'] })).to.deep.equal({
      id: 1,
    });
  });
});
