-- SPDX-License-Identifier: Apache-2.0
-- A small database: made, filled, indexed, joined, changed; its answers are the same wherever it runs.
create table item(id integer primary key, name text, value real, kind integer);
create table kind(id integer primary key, title text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000)
insert into item select i, printf('item-%05d-%x', i, i * 2654435761 % 65521), i * 1.0 / 7 + (i * 31 % 101) * 0.125, i % 17 from n;
insert into kind select distinct kind, 'kind ' || char(65 + kind) from item;
create index by_value on item(value);
begin;
update item set value = value * 1.5 where id % 13 = 0;
delete from item where id % 101 = 0;
commit;
select title, count(*), printf('%.6f', avg(value)), max(name) from item join kind on kind = kind.id group by kind order by title;
select id, name, value from item order by value desc limit 5;
select printf('%.12g', sum(value * value)) from item where name like '%-a%';
vacuum;
