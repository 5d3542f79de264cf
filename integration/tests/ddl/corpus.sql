-- Types
CREATE TABLE types0 (id INT PRIMARY KEY, c0 TINYINT, c1 TINYINT UNSIGNED, c2 TINYINT(1), c3 TINYINT(1) UNSIGNED, c4 BOOL, c5 BOOLEAN, c6 SMALLINT, c7 SMALLINT(3), c8 MEDIUMINT, c9 MEDIUMINT UNSIGNED, c10 MIDDLEINT, c11 INT)
CREATE TABLE types12 (id INT PRIMARY KEY, c0 INTEGER, c1 INT(5), c2 INT1, c3 INT2, c4 INT3, c5 INT4, c6 INT8, c7 INT ZEROFILL, c8 INT(5) ZEROFILL, c9 BIGINT, c10 BIGINT UNSIGNED, c11 BIGINT ZEROFILL)
CREATE TABLE types24 (id INT PRIMARY KEY, c0 DECIMAL, c1 DEC(5), c2 NUMERIC(10,3), c3 FIXED(8,2), c4 DECIMAL(0), c5 DECIMAL(10,2) UNSIGNED, c6 DECIMAL(10,2) ZEROFILL, c7 FLOAT, c8 FLOAT(10), c9 FLOAT(30), c10 FLOAT(7,3), c11 FLOAT UNSIGNED)
CREATE TABLE types36 (id INT PRIMARY KEY, c0 FLOAT4, c1 FLOAT8, c2 DOUBLE, c3 DOUBLE PRECISION, c4 DOUBLE(9,2), c5 REAL, c6 BIT, c7 BIT(9), c8 DATE, c9 TIME, c10 TIME(3), c11 DATETIME)
CREATE TABLE types48 (id INT PRIMARY KEY, c0 DATETIME(6), c1 TIMESTAMP NULL, c2 TIMESTAMP(3) NULL, c3 YEAR, c4 CHAR, c5 CHAR(0), c6 CHAR(10), c7 CHAR VARYING(7), c8 CHARACTER(3), c9 CHARACTER VARYING(9), c10 VARCHAR(100), c11 VARCHARACTER(4))
CREATE TABLE types60 (id INT PRIMARY KEY, c0 NATIONAL CHAR(4), c1 NATIONAL VARCHAR(4), c2 NCHAR(4), c3 NVARCHAR(4), c4 NCHAR VARCHAR(4), c5 NATIONAL CHAR VARYING(4), c6 CHAR(5) BINARY, c7 CHAR(5) ASCII, c8 CHAR(5) UNICODE, c9 CHAR(5) BYTE, c10 VARCHAR(5) CHARACTER SET binary, c11 VARCHAR(9) CHARSET latin1)
CREATE TABLE types72 (id INT PRIMARY KEY, c0 VARCHAR(9) CHARACTER SET latin1 COLLATE latin1_bin, c1 VARCHAR(9) COLLATE utf8mb4_bin, c2 VARCHAR(9) CHARACTER SET utf8mb3, c3 VARCHAR(9) CHARACTER SET latin1 BINARY, c4 TINYTEXT, c5 TEXT, c6 TEXT(10), c7 TEXT(100), c8 TEXT(20000), c9 MEDIUMTEXT, c10 LONGTEXT, c11 LONG)
CREATE TABLE types84 (id INT PRIMARY KEY, c0 LONG VARCHAR, c1 LONG VARBINARY, c2 LONG CHAR VARYING, c3 TEXT CHARACTER SET latin1, c4 TEXT(200) CHARACTER SET latin1, c5 TEXT CHARACTER SET ucs2, c6 TEXT CHARACTER SET binary, c7 BINARY, c8 BINARY(4), c9 VARBINARY(40), c10 TINYBLOB, c11 BLOB)
CREATE TABLE types96 (id INT PRIMARY KEY, c0 BLOB(100), c1 BLOB(70000), c2 MEDIUMBLOB, c3 LONGBLOB, c4 ENUM('a','b ','it''s','back\\slash'), c5 ENUM('a') CHARACTER SET latin1, c6 SET('x','yy','z'), c7 ENUM('ü','x') CHARACTER SET latin1, c8 JSON, c9 GEOMETRY, c10 POINT, c11 LINESTRING)
CREATE TABLE types108 (id INT PRIMARY KEY, c0 POLYGON, c1 MULTIPOINT, c2 MULTILINESTRING, c3 MULTIPOLYGON, c4 GEOMETRYCOLLECTION)
mysql: CREATE TABLE vectors (id INT PRIMARY KEY, v VECTOR(3), w VECTOR)
mariadb: CREATE TABLE nets (id INT PRIMARY KEY, u UUID, i4 INET4, i6 INET6)
CREATE TABLE serials (id SERIAL, b INT)
CREATE TABLE serials2 (id BIGINT SERIAL DEFAULT VALUE, b INT)
DROP TABLE types0, types12, types24, types36, types48, types60, types72, types84, types96, types108, serials, serials2
-- Defaults
CREATE TABLE defaults0 (id INT PRIMARY KEY, c0 INT DEFAULT 5, c1 INT DEFAULT '5', c2 INT DEFAULT -5, c3 INT NOT NULL DEFAULT 0, c4 INT DEFAULT NULL, c5 BIGINT DEFAULT 0x10, c6 TINYINT(1) DEFAULT TRUE, c7 BOOL NOT NULL DEFAULT FALSE, c8 DECIMAL(10,3) DEFAULT 1.5)
CREATE TABLE defaults9 (id INT PRIMARY KEY, c0 DECIMAL(10,3) DEFAULT '-2', c1 DECIMAL(5,2) DEFAULT 1.999, c2 FLOAT DEFAULT 1.50, c3 DOUBLE DEFAULT 1e10, c4 DOUBLE DEFAULT -0.25, c5 VARCHAR(20) DEFAULT '', c6 VARCHAR(20) DEFAULT 'it''s', c7 VARCHAR(20) DEFAULT "quo""ted", c8 VARCHAR(20) DEFAULT 'back\\slash')
CREATE TABLE defaults18 (id INT PRIMARY KEY, c0 VARCHAR(20) DEFAULT 'a' 'b', c1 VARCHAR(20) DEFAULT _utf8mb4'x', c2 VARCHAR(20) DEFAULT 7, c3 CHAR(5) DEFAULT 'x ', c4 BINARY(3) DEFAULT 'ab', c5 VARBINARY(5) DEFAULT 'x', c6 VARBINARY(5) DEFAULT x'4142', c7 DATE DEFAULT '2020-01-02', c8 DATETIME DEFAULT '2020-01-02')
CREATE TABLE defaults27 (id INT PRIMARY KEY, c0 DATETIME(3) DEFAULT '2020-01-02 03:04:05', c1 TIME DEFAULT '01:02', c2 YEAR DEFAULT 2020, c3 YEAR DEFAULT '20', c4 BIT(5) DEFAULT b'101', c5 BIT(8) DEFAULT 9, c6 ENUM('a','b') DEFAULT 'b', c7 SET('x','y') DEFAULT 'x,y', c8 INT ZEROFILL DEFAULT 7)
CREATE TABLE defaults36 (id INT PRIMARY KEY, c0 DATETIME DEFAULT CURRENT_TIMESTAMP, c1 DATETIME(3) DEFAULT NOW(3) ON UPDATE NOW(3), c2 TIMESTAMP DEFAULT CURRENT_TIMESTAMP() ON UPDATE LOCALTIMESTAMP, c3 TIMESTAMP NOT NULL DEFAULT '2020-01-01 00:00:00', c4 TIMESTAMP NULL DEFAULT NULL, c5 DATETIME ON UPDATE CURRENT_TIMESTAMP, c6 VARCHAR(40) DEFAULT (UUID()), c7 INT DEFAULT (1 + 2), c8 JSON DEFAULT (JSON_ARRAY()))
DROP TABLE defaults0, defaults9, defaults18, defaults27, defaults36
-- Keys
CREATE TABLE k1 (a INT, b INT, c VARCHAR(20), PRIMARY KEY (b, a), UNIQUE KEY (c), UNIQUE (a, c), KEY (a))
CREATE TABLE k2 (a INT KEY, b INT UNIQUE, c INT UNIQUE KEY NOT NULL, CONSTRAINT named UNIQUE (b, c), INDEX i (b DESC))
CREATE TABLE k3 (a VARCHAR(50), b TEXT, PRIMARY KEY (a(10)), UNIQUE (b(20)), UNIQUE whole (a(50)))
CREATE TABLE k4 (a INT NOT NULL, UNIQUE (a), UNIQUE (a), UNIQUE a_7 (a))
CREATE TABLE k5 (a INT NOT NULL AUTO_INCREMENT, b INT, KEY (a), CONSTRAINT pk PRIMARY KEY USING BTREE (b) COMMENT 'x')
CREATE TABLE k6 (a INT PRIMARY KEY, b INT REFERENCES k5 (b) ON DELETE SET NULL ON UPDATE CASCADE, c INT CHECK (c > 0), CONSTRAINT positive CHECK (a > 0))
CREATE TABLE k7 (a INT PRIMARY KEY, b INT, CONSTRAINT fk FOREIGN KEY (b) REFERENCES k6 (a) ON DELETE CASCADE)
mysql: CREATE TABLE k8 (a INT, b INT, UNIQUE f ((a + b)), UNIQUE g (a, (b * 2)), PRIMARY KEY (a))
mariadb: CREATE TABLE k8 (a INT, b TEXT NOT NULL, UNIQUE (b), UNIQUE (a) USING HASH)
ALTER TABLE k7 DROP FOREIGN KEY fk
ALTER TABLE k1 DROP PRIMARY KEY
ALTER TABLE k1 ADD PRIMARY KEY (a), DROP INDEX c
ALTER TABLE k1 RENAME INDEX a TO renamed
ALTER TABLE k1 ADD UNIQUE INDEX x (b) USING BTREE, ADD INDEX (b), ADD CONSTRAINT u UNIQUE (b, a)
CREATE UNIQUE INDEX made ON k1 (c)
DROP INDEX made ON k1
mysql: ALTER TABLE k1 DROP COLUMN b
-- Generated and hidden columns, comments
CREATE TABLE g (a INT PRIMARY KEY, b INT AS (a + 1), c INT GENERATED ALWAYS AS (a * 2) STORED COMMENT 'twice; (really)', d INT INVISIBLE, e INT NOT NULL INVISIBLE DEFAULT 3) COMMENT='it''s a table'
ALTER TABLE g ADD f VARCHAR(10) AS (CONCAT(a, 'x)')) VIRTUAL AFTER a
ALTER TABLE g COMMENT 'another', ENGINE=InnoDB, ROW_FORMAT=DYNAMIC
ALTER TABLE g DROP COLUMN f, DROP b
mysql: ALTER TABLE g ALTER COLUMN d SET VISIBLE
mysql: ALTER TABLE g ALTER d SET INVISIBLE
mariadb: ALTER TABLE g MODIFY d INT
-- Places
CREATE TABLE p (a INT PRIMARY KEY, b INT, c INT, d INT)
ALTER TABLE p ADD e INT FIRST, ADD f INT AFTER b
ALTER TABLE p ADD COLUMN (g INT, h VARCHAR(5) NOT NULL DEFAULT 'x')
ALTER TABLE p MODIFY a INT FIRST, MODIFY b BIGINT AFTER d, CHANGE c cc INT FIRST
ALTER TABLE p ADD x1 INT AFTER a, ADD x2 INT AFTER x1, DROP d
ALTER TABLE p RENAME COLUMN x1 TO x2, RENAME COLUMN x2 TO x1
ALTER TABLE p CHANGE COLUMN x1 X1 INT COMMENT 'case'
ALTER TABLE p ALTER X1 SET DEFAULT 5
ALTER TABLE p ALTER COLUMN X1 DROP DEFAULT
ALTER TABLE p ALTER X1 SET DEFAULT NULL
ALTER TABLE p MODIFY COLUMN h VARCHAR(50), ADD UNIQUE (h), ALGORITHM=COPY, LOCK=SHARED
ALTER TABLE p FORCE
ALTER TABLE p ORDER BY a
mariadb: ALTER TABLE p ADD COLUMN IF NOT EXISTS a INT, DROP COLUMN IF EXISTS nope, ADD COLUMN IF NOT EXISTS n INT
mariadb: ALTER ONLINE TABLE IF EXISTS p WAIT 5 MODIFY COLUMN IF EXISTS nope INT, CHANGE COLUMN IF EXISTS nope2 x INT, ADD m INT
-- Charsets
CREATE TABLE s (a INT PRIMARY KEY, b VARCHAR(20), c TEXT, d ENUM('a','b'), e CHAR(3) CHARACTER SET ascii, f TINYTEXT, g MEDIUMTEXT, h BLOB) DEFAULT CHARSET=latin1
ALTER TABLE s ADD x VARCHAR(5)
ALTER TABLE s CONVERT TO CHARACTER SET utf8mb4
ALTER TABLE s CONVERT TO CHARACTER SET utf8mb3 COLLATE utf8mb3_bin
ALTER TABLE s CONVERT TO CHARACTER SET latin1
ALTER TABLE s DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
ALTER TABLE s ADD y VARCHAR(5), MODIFY b VARCHAR(20)
ALTER TABLE s COLLATE = latin1_german1_ci
ALTER TABLE s CHARSET utf8mb4, ADD z VARCHAR(3)
CREATE TABLE s2 (a VARCHAR(3), b TEXT, c ENUM('x')) CHARACTER SET binary
CREATE TABLE s3 (a VARCHAR(3)) COLLATE utf8mb4_unicode_ci
CREATE DATABASE {db}_other DEFAULT CHARACTER SET latin1 COLLATE latin1_bin
CREATE TABLE {db}_other.t (a VARCHAR(3))
ALTER DATABASE {db}_other CHARACTER SET utf8mb4
CREATE TABLE {db}_other.u (a VARCHAR(3))
ALTER TABLE {db}_other.t ADD b VARCHAR(5)
-- Whole tables
CREATE TABLE l LIKE k1
CREATE TABLE l2 (LIKE g)
CREATE TABLE IF NOT EXISTS l (other INT)
CREATE TABLE q AS SELECT a, b FROM k2
CREATE TABLE q2 (x INT PRIMARY KEY) SELECT a AS x, 'text' AS y, NOW() AS z FROM k2
CREATE TEMPORARY TABLE l3 (a INT)
DROP TEMPORARY TABLE l3
RENAME TABLE l TO m
RENAME TABLE m TO tmp_, l2 TO m, tmp_ TO l2
RENAME TABLE m TO {db}_other.m
ALTER TABLE {db}_other.m RENAME TO {db}.m, ADD renamed INT
ALTER TABLE m RENAME AS m2
ALTER TABLE m2 RENAME m3
TRUNCATE TABLE m3
TRUNCATE m3
DROP TABLE IF EXISTS m3, l2
mariadb: CREATE OR REPLACE TABLE q (b VARCHAR(4))
DROP DATABASE {db}_other
-- Partitions
CREATE TABLE parts (a INT NOT NULL, b INT) PARTITION BY RANGE (a) (PARTITION p0 VALUES LESS THAN (10) ENGINE = InnoDB, PARTITION p1 VALUES LESS THAN (20) ENGINE = InnoDB)
ALTER TABLE parts ADD PARTITION (PARTITION p2 VALUES LESS THAN MAXVALUE)
ALTER TABLE parts TRUNCATE PARTITION p0
ALTER TABLE parts REORGANIZE PARTITION p1, p2 INTO (PARTITION p3 VALUES LESS THAN MAXVALUE)
ALTER TABLE parts DROP PARTITION p0
CREATE TABLE swapped (a INT NOT NULL, b INT)
ALTER TABLE parts EXCHANGE PARTITION p3 WITH TABLE swapped
ALTER TABLE parts REMOVE PARTITIONING
ALTER TABLE parts PARTITION BY HASH (a) PARTITIONS 4
ALTER TABLE parts COALESCE PARTITION 2
ALTER TABLE parts ADD c INT PARTITION BY KEY (a) PARTITIONS 2
CREATE TABLE disc (a INT PRIMARY KEY)
ALTER TABLE disc DISCARD TABLESPACE
DROP TABLE disc
-- Odd spelling
CREATE TABLE `select` (`from` INT PRIMARY KEY, `a``b` INT, `ü` INT, 1a INT, `c d` VARCHAR(4), $x INT, period INT, `key` INT)
ALTER TABLE `select` ADD `group` INT AFTER `a``b`, CHANGE `c d` `e.f` VARCHAR(9)
CREATE TABLE hints (a INT PRIMARY KEY /*!50100 , b INT */ /*!99999 , c INT */ /*M!100100 , d INT */) /*!50100 ENGINE=InnoDB */ # end
alter table hints add column (`x` int(11) default NULL comment 'a,b)c;'), add key `x` (`x`);
SET SESSION sql_mode = 'ANSI_QUOTES,STRICT_TRANS_TABLES'
CREATE TABLE "quoted" ("a" INT PRIMARY KEY, "b""c" VARCHAR(5) DEFAULT 'x')
SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES,STRICT_TRANS_TABLES'
CREATE TABLE slashes (a VARCHAR(9) DEFAULT 'a\' COMMENT 'b\', b INT)
SET SESSION sql_mode = ''
CREATE TABLE wide (a VARCHAR(20000), b VARBINARY(70000))
SET SESSION sql_mode = 'REAL_AS_FLOAT'
CREATE TABLE reals (a REAL)
SET SESSION sql_mode = DEFAULT
mysql: SET SESSION explicit_defaults_for_timestamp = OFF
mysql: CREATE TABLE stamps (a TIMESTAMP, b TIMESTAMP NULL, c TIMESTAMP DEFAULT '2020-01-01 00:00:00')
mysql: SET SESSION explicit_defaults_for_timestamp = ON
CREATE TABLE options (a INT PRIMARY KEY) ENGINE=InnoDB AUTO_INCREMENT=7 AVG_ROW_LENGTH 10 CHECKSUM=0 DEFAULT CHARSET=utf8mb4 KEY_BLOCK_SIZE=0 MAX_ROWS=5 ROW_FORMAT=DEFAULT STATS_PERSISTENT=1 COMMENT 'x'
mysql: SET SESSION sql_generate_invisible_primary_key = ON
mysql: CREATE TABLE hidden (x INT)
mysql: ALTER TABLE hidden ADD y INT
mysql: SET SESSION sql_generate_invisible_primary_key = OFF
mariadb: CREATE TABLE versioned (a INT PRIMARY KEY) WITH SYSTEM VERSIONING
mariadb: DROP TABLE versioned
-- Online schema changes
CREATE TABLE osc (id INT PRIMARY KEY, a INT, b VARCHAR(9))
CREATE /* gh-ost */ TABLE `_osc_gho` LIKE `osc`
ALTER /* gh-ost */ TABLE `_osc_gho` ADD c BIGINT, CHANGE b bb VARCHAR(20)
RENAME /* gh-ost */ TABLE `osc` TO `_osc_del`, `_osc_gho` TO `osc`
DROP TABLE `_osc_del`
CREATE TABLE `_osc_new` (`id` int NOT NULL, `a` int DEFAULT NULL, PRIMARY KEY (`id`))
CREATE TRIGGER `pt_osc_x_osc_del` AFTER DELETE ON `osc` FOR EACH ROW DELETE IGNORE FROM `_osc_new` WHERE `_osc_new`.`id` <=> OLD.`id`
RENAME TABLE `osc` TO `_osc_old`, `_osc_new` TO `osc`
DROP TABLE IF EXISTS `_osc_old`
-- Several clauses at once
CREATE TABLE mc (id INT NOT NULL, a INT, b VARCHAR(10), c DECIMAL(8,2) DEFAULT 1.5, d DATETIME, PRIMARY KEY (id), UNIQUE KEY ub (b), KEY ka (a))
doubt: ALTER TABLE mc DROP b, ADD b BLOB FIRST
doubt: ALTER TABLE mc DROP a, ADD a VARCHAR(9) AFTER id, ADD UNIQUE ua (a), ADD e INT AFTER a
doubt: ALTER TABLE mc CHANGE a f VARCHAR(9), RENAME INDEX ua TO uf, ADD a INT
ALTER TABLE mc DROP PRIMARY KEY, ADD PRIMARY KEY (e, id), COMMENT 'two'
ALTER TABLE mc ADD h INT NOT NULL UNIQUE KEY COMMENT 'h', ADD INDEX kh (h), ADD g INT FIRST
ALTER TABLE mc DROP INDEX h, DROP INDEX kh, DROP h, MODIFY g BIGINT UNSIGNED NOT NULL DEFAULT 7 AFTER e
ALTER TABLE mc CHANGE d dd TIMESTAMP(4) NULL DEFAULT NULL, CHANGE c cc DECIMAL(12,4) UNSIGNED NOT NULL DEFAULT 2 FIRST, ADD i INT AFTER cc
doubt: ALTER TABLE mc RENAME COLUMN i TO j, ADD i SMALLINT AFTER j
ALTER TABLE mc ADD COLUMN k INT, ADD COLUMN (l INT, m INT DEFAULT 3), ADD INDEX (k, l)
ALTER TABLE mc ALTER m SET DEFAULT '12', ALTER k SET DEFAULT -4, ALTER l DROP DEFAULT
doubt: ALTER TABLE mc MODIFY m INT AFTER k, MODIFY l INT AFTER m, MODIFY k INT AFTER l
ALTER TABLE mc ADD n INT FIRST, ADD o INT FIRST, ADD p INT AFTER n
ALTER TABLE mc DROP n, DROP o, DROP COLUMN p, DROP m RESTRICT, DROP l CASCADE
ALTER TABLE mc DROP PRIMARY KEY
ALTER TABLE mc ADD CONSTRAINT PRIMARY KEY (id), ADD CONSTRAINT UNIQUE (j, i), ENGINE InnoDB, AUTO_INCREMENT 100
ALTER TABLE mc MODIFY id INT UNSIGNED AUTO_INCREMENT
ALTER TABLE mc MODIFY id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT COMMENT 'it''s; -- no comment'
ALTER TABLE mc RENAME TO mc2, ADD q INT
ALTER TABLE mc2 ADD r INT, ALGORITHM = INPLACE, LOCK = NONE
mysql: ALTER TABLE mc2 ADD s INT, ALGORITHM=INSTANT
mysql: ALTER TABLE mc2 DROP s, ALGORITHM INSTANT
ALTER TABLE mc2 RENAME INDEX uf TO UF
mysql: ALTER TABLE mc2 ALTER INDEX uf INVISIBLE
mariadb: ALTER TABLE mc2 ADD s INT, ALGORITHM=INSTANT
mariadb: ALTER TABLE mc2 ADD INDEX IF NOT EXISTS ka (r), DROP INDEX IF EXISTS nope, DROP COLUMN IF EXISTS s
DROP TABLE mc2, k3, k4, k7, k8, p, s, s2, s3, osc, options, slashes, wide, reals, quoted, hints, `select`, swapped, parts
-- Charsets, again
CREATE TABLE cs1 (a VARCHAR(10) CHARACTER SET latin1, b VARCHAR(10) COLLATE latin1_bin, c TEXT CHARACTER SET utf8mb4, d CHAR(2) CHARACTER SET binary, e JSON)
ALTER TABLE cs1 CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci
ALTER TABLE cs1 MODIFY a VARCHAR(20), ADD f VARCHAR(3) CHARACTER SET latin1, ADD g TEXT COLLATE utf8mb4_bin
ALTER TABLE cs1 DEFAULT COLLATE utf8mb4_general_ci, ADD h CHAR(1)
ALTER TABLE cs1 MODIFY h CHAR(1) BINARY, MODIFY g TEXT
ALTER TABLE cs1 CHARACTER SET = latin1, MODIFY h CHAR(1), ADD i ENUM('p','q')
ALTER TABLE cs1 MODIFY i ENUM('p','q','r') CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
CREATE TABLE cs2 (a CHAR(3) CHARACTER SET ucs2, b TEXT CHARACTER SET utf16, c CHAR(3) CHARACTER SET utf32, d VARCHAR(5) CHARACTER SET gbk, e VARCHAR(5) CHARACTER SET sjis, f VARCHAR(5) CHARACTER SET cp1251, g VARCHAR(5) CHARACTER SET koi8r, h VARCHAR(5) CHARACTER SET big5, i VARCHAR(5) CHARACTER SET eucjpms, j VARCHAR(5) CHARACTER SET euckr)
ALTER TABLE cs2 CONVERT TO CHARACTER SET utf8mb3
ALTER TABLE cs2 CONVERT TO CHARSET utf8mb4
CREATE TABLE cs3 (a TINYTEXT, b TEXT, c MEDIUMTEXT, d LONGTEXT, e TEXT(64), f VARCHAR(16000)) CHARSET=utf8mb4
ALTER TABLE cs3 CONVERT TO CHARACTER SET latin1
ALTER TABLE cs3 CONVERT TO CHARACTER SET utf8mb4
CREATE TABLE cs4 (a VARCHAR(5), b CHAR(5), c TEXT) CHARSET=ascii COLLATE=ascii_bin
ALTER TABLE cs4 CONVERT TO CHARACTER SET binary
CREATE TABLE cs5 (a VARCHAR(5) CHARACTER SET utf8, b VARCHAR(5) COLLATE utf8_bin) DEFAULT CHARSET=utf8
CREATE TABLE cs6 (a VARCHAR(9)) COLLATE='utf8mb4_bin'
CREATE TABLE cs7 (a VARCHAR(9)) CHARSET "latin1" COLLATE `latin1_general_cs`
CREATE SCHEMA {db}_cs COLLATE utf8mb4_bin
CREATE TABLE {db}_cs.t (a VARCHAR(3), b VARCHAR(3) CHARACTER SET utf8mb4)
CREATE TABLE {db}_cs.u LIKE {db}.cs1
ALTER SCHEMA {db}_cs DEFAULT CHARACTER SET = latin1 COLLATE = latin1_german2_ci
CREATE TABLE {db}_cs.v (a VARCHAR(3), b VARCHAR(3) CHARACTER SET latin1)
USE {db}_cs
CREATE TABLE w (a VARCHAR(3))
ALTER TABLE w ADD b TEXT, RENAME TO {db}.w
CREATE TABLE `{db}`.`x` (a CHAR(1))
USE {db}
DROP SCHEMA IF EXISTS {db}_cs
DROP TABLE cs1, cs2, cs3, cs4, cs5, cs6, cs7, w, x
-- Odd identifiers and comments
CREATE TABLE `a.b` (`x.y` INT PRIMARY KEY, `z(` INT, `-- c` INT, `/*` INT, `'` INT, `"` INT)
ALTER TABLE `a.b` ADD `)` INT AFTER `z(`, DROP `/*`, CHANGE `'` `;` INT
RENAME TABLE `a.b` TO `日本`
ALTER TABLE 日本 ADD 列 VARCHAR(5) COMMENT '日本語', ADD UNIQUE (列)
ALTER TABLE `日本` RENAME COLUMN `列` TO `Ä`
ALTER TABLE `日本` RENAME COLUMN `ä` TO `B`
ALTER /* a */ TABLE/**/`日本`/* b */ADD/* c */COLUMN/*d*/cc/*e*/INT
CREATE TABLE _1 (_2 INT, $3 INT, 4d INT, 5_e INT, e5 INT, 0x1g INT)
ALTER TABLE _1 ADD b1 INT, ADD x1 INT, ADD n INT
CREATE TABLE kw (date DATE, time TIME, timestamp TIMESTAMP NULL, year YEAR, text TEXT, json JSON, bit BIT, enum ENUM('a'), status INT, type INT, action INT, comment INT COMMENT 'x', engine INT, first INT, after INT)
ALTER TABLE kw ADD name INT AFTER after, ADD hash INT FIRST, ADD value INT AFTER first
ALTER TABLE kw DROP first, MODIFY after BIGINT FIRST, ADD COLUMN visible INT
ALTER TABLE kw ADD no INT, ADD open INT, ADD partitions INT, ADD temporary INT
create table Kw2 (Id int(11) unsigned not null auto_increment, Name varchar(255) character set latin1 collate latin1_swedish_ci default null, primary key (ID), key `NAME` (`NAME`)) engine=innodb auto_increment=5 default charset=utf8mb4
ALTER TABLE Kw2 CHANGE ID id INT UNSIGNED NOT NULL AUTO_INCREMENT, DROP INDEX name
CREATE TABLE /*!40000 IF NOT EXISTS */ ex (a INT /*!50000 NOT NULL */ /*!50000 DEFAULT 4 */, b INT /*! COMMENT 'c' */) /*!40100 DEFAULT CHARSET=latin1 */ /*!50100 COMMENT='d' */
ALTER TABLE ex /*!50100 ADD c INT */ /*!99999 , ADD d INT */
mysql: CREATE TABLE ex2 (a INT /*!80000 , b INT */ /*!80023 INVISIBLE */, c INT /*M!100100 , d INT */)
mariadb: CREATE TABLE ex2 (a INT /*!80000 , b INT */ /*M!100300 INVISIBLE */, c INT /*M! , d INT */ /*M!119999 , e INT */)
SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,STRICT_TRANS_TABLES'
CREATE TABLE "both" ("a\" VARCHAR(5) DEFAULT '\' COMMENT '\''', "b'c" INT)
ALTER TABLE "both" ADD COLUMN "a""b" INT FIRST, ADD CONSTRAINT "u" UNIQUE ("a""b", "b'c")
SET SESSION sql_mode = 'IGNORE_SPACE,ANSI'
CREATE TABLE "ansi" ("a" REAL, b VARCHAR (5) DEFAULT 'x')
SET SESSION sql_mode = 'NO_ZERO_DATE'
CREATE TABLE padded (a CHAR(3) DEFAULT 'x ', b DATE DEFAULT '2020-2-3')
SET SESSION sql_mode = ''
CREATE TABLE loose (a VARCHAR(70000), b VARCHAR(20000) CHARACTER SET utf8mb4, c VARBINARY(70000), d DATE DEFAULT '0000-00-00')
ALTER TABLE loose MODIFY d DATE NOT NULL, ADD e TEXT(70000) CHARACTER SET latin1
SET SESSION sql_mode = DEFAULT
DROP TABLE `日本`, _1, Kw2, ex, ex2, `both`, ansi, padded, loose
-- Defaults, again
CREATE TABLE df (a INT DEFAULT +5, b INT DEFAULT 007, c DECIMAL(6,3) DEFAULT 0.0005, d DECIMAL(6,3) DEFAULT -0, e FLOAT DEFAULT 100000000, f DOUBLE DEFAULT 1e20, g DOUBLE DEFAULT 0.00001, h BIT(16) DEFAULT x'0102', i BINARY(2) DEFAULT 'a', j VARBINARY(4) DEFAULT 0x4142)
ALTER TABLE df ALTER a SET DEFAULT 6, ALTER b DROP DEFAULT, ALTER c SET DEFAULT 1
ALTER TABLE df ALTER a SET DEFAULT (1 + 2)
ALTER TABLE df ADD k TIME DEFAULT '1:2:3', ADD l TIME(2) DEFAULT '-10:11:12.5', ADD m DATETIME(1) DEFAULT '2020-1-2 3:4:5', ADD n TIMESTAMP(6) NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)
ALTER TABLE df ADD o VARCHAR(20) DEFAULT 'a\'b"c\\d%e\_f', ADD p VARCHAR(20) DEFAULT "x'y", ADD q VARCHAR(20) NOT NULL DEFAULT 'NULL', ADD r CHAR(3) DEFAULT '日本語'
ALTER TABLE df ADD s BOOL DEFAULT TRUE, ADD t SET('a','b','c') DEFAULT '', ADD u ENUM('','b') NOT NULL DEFAULT '', ADD v YEAR DEFAULT 99
ALTER TABLE df MODIFY n TIMESTAMP(6) NULL DEFAULT NULL, MODIFY m DATETIME(1) NOT NULL DEFAULT CURRENT_TIMESTAMP(1)
ALTER TABLE df ADD w VARCHAR(40) DEFAULT (CONCAT('a,', "b)", 'c;')), ADD x INT AS (a * (2 + 3)) STORED, ADD y VARCHAR(9) GENERATED ALWAYS AS ('x') VIRTUAL UNIQUE
mariadb: ALTER TABLE df ADD z VARCHAR(40) DEFAULT UUID(), ADD aa INT DEFAULT abs(-3)
mysql: ALTER TABLE df ADD z BINARY(16) DEFAULT (UNHEX('0a')) COMMENT 'z'
-- Partitions, again
CREATE TABLE pa1 (a INT, b DATE) PARTITION BY LIST (a) (PARTITION p0 VALUES IN (1, 2) COMMENT = 'x', PARTITION p1 VALUES IN (3))
ALTER TABLE pa1 ADD PARTITION (PARTITION p2 VALUES IN (4))
ALTER TABLE pa1 ADD c INT, DROP b
ALTER TABLE pa1 ANALYZE PARTITION p0
ALTER TABLE pa1 REBUILD PARTITION ALL
CREATE TABLE pa2 (a INT, b DATE) PARTITION BY RANGE COLUMNS (b, a) SUBPARTITION BY HASH (a) SUBPARTITIONS 2 (PARTITION p0 VALUES LESS THAN ('2020-01-01', 5), PARTITION p1 VALUES LESS THAN (MAXVALUE, MAXVALUE))
CREATE TABLE pa3 (a INT PRIMARY KEY) COMMENT 'c' PARTITION BY LINEAR KEY ALGORITHM = 2 () PARTITIONS 3
ALTER TABLE pa3 ADD PARTITION PARTITIONS 2
ALTER TABLE pa3 COMMENT 'd' REMOVE PARTITIONING
CREATE TABLE pa4 (a INT, b INT) /*!50100 PARTITION BY HASH (a + b) PARTITIONS 2 */
ALTER TABLE pa4 PARTITION BY RANGE (a) (PARTITION x VALUES LESS THAN (5), PARTITION y VALUES LESS THAN MAXVALUE)
ALTER TABLE pa4 TRUNCATE PARTITION x, y
mariadb: doubt: ALTER TABLE pa4 CONVERT PARTITION x TO TABLE pa5
mariadb: DROP TABLE pa5
-- Keys that the server makes
mysql: SET SESSION sql_generate_invisible_primary_key = ON
mysql: CREATE TABLE gipk1 (a INT, UNIQUE (a)) ENGINE=InnoDB COMMENT 'x'
mysql: CREATE TABLE gipk2 LIKE gipk1
mysql: CREATE TABLE gipk3 (a INT PRIMARY KEY)
mysql: ALTER TABLE gipk1 ALTER COLUMN my_row_id SET VISIBLE
mysql: ALTER TABLE gipk1 ADD b INT FIRST, ADD c INT AFTER my_row_id
mysql: ALTER TABLE gipk2 DROP PRIMARY KEY, DROP COLUMN my_row_id, ADD id SERIAL PRIMARY KEY
mysql: CREATE TABLE gipk4 AS SELECT 1 AS x, 'y' AS y
mysql: SET SESSION sql_generate_invisible_primary_key = OFF
mysql: ALTER TABLE gipk4 DROP my_row_id
-- Whole tables, again
CREATE TABLE `like1` LIKE kw
CREATE TABLE IF NOT EXISTS like1 LIKE df
CREATE TABLE sel1 (k INT NOT NULL, PRIMARY KEY (k)) COMMENT 'sel' AS SELECT 1 AS k, 2 AS l
CREATE TABLE sel6 DEFAULT CHARSET=latin1 COLLATE=latin1_bin COMMENT 'x' SELECT 'a' AS a
ALTER TABLE sel6 ADD b VARCHAR(5), ADD c TEXT
CREATE TABLE sel2 (UNIQUE (v)) SELECT 'abc' AS v, 1.5 AS w, CAST('2020-01-01' AS DATE) AS x, NULL AS z
CREATE TABLE sel3 SELECT * FROM g
CREATE TABLE sel4 AS (SELECT 1 AS a UNION SELECT 2)
RENAME TABLE sel1 TO sel1b, sel2 TO sel1, sel1b TO sel2
RENAME TABLES sel3 TO sel5
CREATE OR REPLACE VIEW vw AS SELECT * FROM sel4
DROP VIEW vw
DROP TABLES sel4, sel5
DROP TABLE IF EXISTS nope, sel2 RESTRICT
mariadb: CREATE OR REPLACE TABLE sel1 LIKE kw
mariadb: CREATE SEQUENCE seq
mariadb: CREATE TABLE useq (a INT DEFAULT NEXT VALUE FOR seq, b INT)
mariadb: ALTER TABLE useq ADD c INT DEFAULT (NEXTVAL(seq)), CHANGE b bb INT DEFAULT 3
mariadb: SET STATEMENT max_statement_time = 100 FOR ALTER TABLE useq ADD d INT
mariadb: ALTER IGNORE TABLE useq ADD UNIQUE (bb)
-- As mysqldump writes tables
CREATE TABLE `language` (`language_id` tinyint unsigned NOT NULL AUTO_INCREMENT, `name` char(20) NOT NULL, `last_update` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, PRIMARY KEY (`language_id`)) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
CREATE TABLE `film` (`film_id` smallint unsigned NOT NULL AUTO_INCREMENT, `title` varchar(128) NOT NULL, `description` text, `release_year` year DEFAULT NULL, `language_id` tinyint unsigned NOT NULL, `rental_duration` tinyint unsigned NOT NULL DEFAULT '3', `rental_rate` decimal(4,2) NOT NULL DEFAULT '4.99', `rating` enum('G','PG','PG-13','R','NC-17') DEFAULT 'G', `special_features` set('Trailers','Commentaries','Deleted Scenes','Behind the Scenes') DEFAULT NULL, `last_update` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, PRIMARY KEY (`film_id`), KEY `idx_title` (`title`), KEY `idx_fk_language_id` (`language_id`), FULLTEXT KEY `idx_title_description` (`title`,`description`), CONSTRAINT `fk_film_language` FOREIGN KEY (`language_id`) REFERENCES `language` (`language_id`) ON DELETE RESTRICT ON UPDATE CASCADE) ENGINE=InnoDB AUTO_INCREMENT=1001 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
/*!40000 ALTER TABLE `film` DISABLE KEYS */
/*!40000 ALTER TABLE `film` ENABLE KEYS */
mysql: CREATE TABLE `address` (`address_id` smallint unsigned NOT NULL AUTO_INCREMENT, `location` geometry NOT NULL /*!80003 SRID 0 */, `secret` int DEFAULT NULL /*!80023 INVISIBLE */, `k` int GENERATED ALWAYS AS ((`secret` * 2)) VIRTUAL, PRIMARY KEY (`address_id`), SPATIAL KEY `idx_location` (`location`), KEY `f` ((lower(_utf8mb4'x'))), KEY `hidden` (`k`) /*!80000 INVISIBLE */, CONSTRAINT `address_chk_1` CHECK ((`secret` > 0)) /*!80016 NOT ENFORCED */) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
mariadb: CREATE TABLE `address` (`address_id` smallint(5) unsigned NOT NULL AUTO_INCREMENT, `location` geometry NOT NULL, `secret` int(11) DEFAULT NULL INVISIBLE, `doc` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL CHECK (json_valid(`doc`)), `k` int(11) GENERATED ALWAYS AS (`secret` * 2) VIRTUAL, PRIMARY KEY (`address_id`), SPATIAL KEY `idx_location` (`location`), CONSTRAINT `positive` CHECK (`secret` > 0)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
CREATE TABLE `dept_emp` (`emp_no` int NOT NULL, `dept_no` char(4) NOT NULL, `from_date` date NOT NULL, `to_date` date NOT NULL, PRIMARY KEY (`emp_no`,`dept_no`,`from_date`), KEY `dept_no` (`dept_no`)) ENGINE=InnoDB DEFAULT CHARSET=latin1 ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8 STATS_PERSISTENT=0 STATS_AUTO_RECALC=1 STATS_SAMPLE_PAGES=20 PACK_KEYS=0 DELAY_KEY_WRITE=0 /*!50100 PARTITION BY RANGE  COLUMNS(from_date) (PARTITION p01 VALUES LESS THAN ('1985-12-31') ENGINE = InnoDB, PARTITION p19 VALUES LESS THAN (MAXVALUE) ENGINE = InnoDB) */
ALTER TABLE `dept_emp` ROW_FORMAT=DYNAMIC KEY_BLOCK_SIZE=0, ADD COLUMN note varchar(50) COLLATE latin1_general_ci DEFAULT NULL COMMENT 'a /* b */ -- c'
DROP TABLE IF EXISTS `film`, `language`, `address`, `dept_emp`
-- Rails
CREATE TABLE `schema_migrations` (`version` varchar(255) NOT NULL PRIMARY KEY)
CREATE TABLE `ar_internal_metadata` (`key` varchar(255) NOT NULL PRIMARY KEY, `value` varchar(255), `created_at` datetime(6) NOT NULL, `updated_at` datetime(6) NOT NULL)
CREATE TABLE `users` (`id` bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, `email` varchar(255) DEFAULT '' NOT NULL, `encrypted_password` varchar(255) DEFAULT '' NOT NULL, `reset_password_token` varchar(255), `sign_in_count` int DEFAULT 0 NOT NULL, `balance` decimal(10,2), `meta` json, `bio` text(65535), `avatar` blob(65535), `created_at` datetime(6) NOT NULL, INDEX `index_users_on_created_at` (`created_at`), UNIQUE INDEX `index_users_on_email` (`email`)) CHARSET=utf8mb4
CREATE TABLE `posts` (`id` bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, `user_id` bigint NOT NULL, INDEX `index_posts_on_user_id` (`user_id`), CONSTRAINT `fk_rails_5b5ddfd518` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`)) ENGINE=InnoDB ROW_FORMAT=DYNAMIC
ALTER TABLE `users` ADD `admin` tinyint(1) DEFAULT FALSE NOT NULL
ALTER TABLE `users` ADD `role` int unsigned DEFAULT 0 COMMENT 'Rails'' enum' AFTER `email`
ALTER TABLE `users` CHANGE `bio` `about` text DEFAULT NULL
ALTER TABLE `users` CHANGE `balance` `balance` decimal(12,4) DEFAULT '0.0' NOT NULL
ALTER TABLE `users` ALTER COLUMN `sign_in_count` SET DEFAULT 1
ALTER TABLE `users` ADD `a` int, ADD `b` varchar(255) DEFAULT 'x', ADD INDEX `index_users_on_a` (`a`), DROP `avatar`
CREATE UNIQUE INDEX `index_users_on_reset_password_token` ON `users` (`reset_password_token`)
CREATE INDEX `index_users_on_role_and_email` USING btree ON `users` (`role`, `email`(10)) COMMENT 'two'
CREATE INDEX `i_inplace` ON `users` (`b` DESC) ALGORITHM = INPLACE LOCK = NONE
ALTER TABLE `users` RENAME INDEX `i_inplace` TO `i_b`
DROP INDEX `i_b` ON `users`
ALTER TABLE `posts` DROP FOREIGN KEY `fk_rails_5b5ddfd518`
ALTER TABLE `posts` ADD CONSTRAINT `fk_again` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`) ON DELETE CASCADE
ALTER TABLE `posts` ADD `reply_to` bigint, ADD CONSTRAINT `fk_reply` FOREIGN KEY (`reply_to`) REFERENCES `posts` (`id`) ON UPDATE NO ACTION
ALTER TABLE `posts` COMMENT = 'what people write'
DROP TABLE `posts` CASCADE
DROP TABLE `users`, `schema_migrations`, `ar_internal_metadata`
-- Django
CREATE TABLE `django_migrations` (`id` bigint AUTO_INCREMENT NOT NULL PRIMARY KEY, `app` varchar(255) NOT NULL, `name` varchar(255) NOT NULL, `applied` datetime(6) NOT NULL)
CREATE TABLE `auth_user` (`id` integer AUTO_INCREMENT NOT NULL PRIMARY KEY, `password` varchar(128) NOT NULL, `last_login` datetime(6) NULL, `is_superuser` bool NOT NULL, `username` varchar(150) NOT NULL UNIQUE, `score` double precision NOT NULL, `price` numeric(10, 2) NULL, `data` json NOT NULL, `duration` bigint NOT NULL, `blob` longblob NOT NULL, `when` time(6) NULL, `slots` integer UNSIGNED NOT NULL CHECK (`slots` >= 0), `small` smallint UNSIGNED NULL, `uuid` char(32) NOT NULL)
ALTER TABLE `auth_user` ADD COLUMN `first_name` varchar(150) DEFAULT 'x' NOT NULL
ALTER TABLE `auth_user` ALTER COLUMN `first_name` DROP DEFAULT
ALTER TABLE `auth_user` MODIFY `first_name` varchar(200) NULL
ALTER TABLE `auth_user` MODIFY `first_name` varchar(200) NOT NULL
CREATE TABLE `app_group` (`id` integer AUTO_INCREMENT NOT NULL PRIMARY KEY)
ALTER TABLE `auth_user` ADD COLUMN `group_id` integer NULL , ADD CONSTRAINT `auth_user_group_id_1_fk` FOREIGN KEY (`group_id`) REFERENCES `app_group`(`id`)
ALTER TABLE `auth_user` ADD CONSTRAINT `auth_user_a_b_uniq` UNIQUE (`first_name`, `group_id`)
ALTER TABLE `auth_user` ADD CONSTRAINT `slots_max` CHECK (`slots` <= 100)
ALTER TABLE `auth_user` DROP FOREIGN KEY `auth_user_group_id_1_fk`
ALTER TABLE `auth_user` DROP INDEX `auth_user_a_b_uniq`
mysql: ALTER TABLE `auth_user` DROP CHECK `slots_max`
mariadb: ALTER TABLE `auth_user` DROP CONSTRAINT `slots_max`
ALTER TABLE `auth_user` CHANGE `small` `tiny` tinyint NULL
ALTER TABLE `auth_user` DROP COLUMN `group_id`
RENAME TABLE `auth_user` TO `accounts_user`
CREATE INDEX `accounts_user_first_name_1` ON `accounts_user` (`first_name`)
DROP TABLE `accounts_user` CASCADE
DROP TABLE `app_group`, `django_migrations`
-- Flyway and Liquibase
CREATE TABLE `flyway_schema_history` (`installed_rank` INT NOT NULL, `version` VARCHAR(50), `description` VARCHAR(200) NOT NULL, `type` VARCHAR(20) NOT NULL, `script` VARCHAR(1000) NOT NULL, `checksum` INT, `installed_by` VARCHAR(100) NOT NULL, `installed_on` TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, `execution_time` INT NOT NULL, `success` BOOL NOT NULL, CONSTRAINT `flyway_schema_history_pk` PRIMARY KEY (`installed_rank`)) ENGINE=InnoDB AS SELECT 1 as "installed_rank", '1' as "version", '<< Flyway Baseline >>' as "description", 'BASELINE' as "type", '<< Flyway Baseline >>' as "script", NULL as "checksum", 'me' as "installed_by", CURRENT_TIMESTAMP as "installed_on", 0 as "execution_time", TRUE as "success"
CREATE INDEX `flyway_schema_history_s_idx` ON `flyway_schema_history` (`success`)
CREATE TABLE {db}.DATABASECHANGELOGLOCK (ID INT NOT NULL, `LOCKED` TINYINT NOT NULL, LOCKGRANTED datetime NULL, LOCKEDBY VARCHAR(255) NULL, CONSTRAINT PK_DATABASECHANGELOGLOCK PRIMARY KEY (ID))
CREATE TABLE {db}.liqui (id BIGINT AUTO_INCREMENT NOT NULL, name VARCHAR(255) NULL, active BIT(1) DEFAULT 1 NOT NULL, amount numeric(19, 2) NULL, body MEDIUMTEXT NULL, at timestamp DEFAULT NOW() NULL, CONSTRAINT PK_LIQUI PRIMARY KEY (id), UNIQUE (name)) COMMENT='by liquibase'
ALTER TABLE {db}.liqui ADD flag BIT DEFAULT 0 NULL, ADD code VARCHAR(5) DEFAULT 'x' NOT NULL COMMENT 'z' AFTER name
ALTER TABLE {db}.liqui MODIFY code VARCHAR(25) NOT NULL
ALTER TABLE {db}.liqui ALTER code SET DEFAULT 'abc'
ALTER TABLE {db}.liqui ADD CONSTRAINT UC_CODE UNIQUE (code)
ALTER TABLE {db}.liqui DROP KEY UC_CODE
ALTER TABLE {db}.liqui CHANGE flag flags BIT(4)
DROP TABLE flyway_schema_history, DATABASECHANGELOGLOCK, liqui
-- WordPress
SET SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION'
CREATE TABLE wp_posts ( ID bigint(20) unsigned NOT NULL auto_increment, post_author bigint(20) unsigned NOT NULL default '0', post_date datetime NOT NULL default '0000-00-00 00:00:00', post_content longtext NOT NULL, post_title text NOT NULL, post_excerpt text NOT NULL, post_status varchar(20) NOT NULL default 'publish', post_password varchar(255) NOT NULL default '', post_name varchar(200) NOT NULL default '', to_ping text NOT NULL, post_modified datetime NOT NULL default '0000-00-00 00:00:00', post_parent bigint(20) unsigned NOT NULL default '0', guid varchar(255) NOT NULL default '', menu_order int(11) NOT NULL default '0', post_type varchar(20) NOT NULL default 'post', comment_count bigint(20) NOT NULL default '0', PRIMARY KEY  (ID), KEY post_name (post_name(191)), KEY type_status_date (post_type,post_status,post_date,ID), KEY post_parent (post_parent)) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci
CREATE TABLE wp_options ( option_id bigint(20) unsigned NOT NULL auto_increment, option_name varchar(191) NOT NULL default '', option_value longtext NOT NULL, autoload varchar(20) NOT NULL default 'yes', PRIMARY KEY  (option_id), UNIQUE KEY option_name (option_name), KEY autoload (autoload)) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci
ALTER TABLE wp_posts CHANGE COLUMN `post_password` post_password varchar(500) NOT NULL default ''
ALTER TABLE wp_posts ADD KEY post_author (post_author)
ALTER TABLE wp_options CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci
ALTER TABLE wp_options ADD COLUMN expires datetime DEFAULT '0000-00-00', MODIFY autoload enum('yes','no') NOT NULL DEFAULT 'no'
SET SESSION sql_mode = DEFAULT
DROP TABLE wp_posts, wp_options
-- Other frameworks
create table `orders` (`id` bigint unsigned not null auto_increment primary key, `uuid` char(36) not null, `owner_type` varchar(255) not null, `total` double(8, 2) not null default '0', `email_verified_at` timestamp null, `created_at` timestamp null default CURRENT_TIMESTAMP, `deleted_at` timestamp null) default character set utf8mb4 collate 'utf8mb4_unicode_ci' engine = InnoDB
alter table `orders` add unique `orders_uuid_unique`(`uuid`)
alter table `orders` add index `orders_owner_type_id_index`(`owner_type`, `id`), add `tags` json null after `uuid`, add `state` enum('new', 'paid') not null default 'new'
alter table `orders` modify `total` decimal(10, 2) null, modify `owner_type` varchar(100) null comment 'morph'
alter table `orders` add `sum` decimal(10, 2) as (`total` * 2) stored, add `low` varchar(100) generated always as (lower(`owner_type`)) virtual
alter table `orders` rename `laravel_orders`
create table a_hibernate (id bigint not null auto_increment, active bit not null, created datetime(6), ratio float(53), score float(23), status enum ('A','B'), payload varbinary(255), big tinyblob, uid binary(16), primary key (id)) engine=InnoDB
alter table a_hibernate add constraint UK_6dotkott2kjsp8vw4d0m25fb7 unique (uid)
create table hibernate_sequence (next_val bigint) engine=InnoDB
CREATE TABLE IF NOT EXISTS `Users` (`id` INTEGER NOT NULL auto_increment , `firstName` VARCHAR(255), `role` ENUM('a', 'b') DEFAULT 'a', `ok` TINYINT(1) DEFAULT true, `createdAt` DATETIME NOT NULL, PRIMARY KEY (`id`)) ENGINE=InnoDB
CREATE TABLE `Prisma` (`id` INTEGER NOT NULL AUTO_INCREMENT, `createdAt` DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3), `published` BOOLEAN NOT NULL DEFAULT false, `email` VARCHAR(191) NOT NULL, `price` DECIMAL(65,30) NOT NULL, UNIQUE INDEX `Prisma_email_key`(`email`), INDEX `Prisma_published_idx`(`published`), PRIMARY KEY (`id`)) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci
CREATE TABLE `typeorm` (`id` varchar(36) NOT NULL, `d` datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), `email` varchar(255) NOT NULL, UNIQUE INDEX `IDX_97672ac88f789774dd47f7c8be` (`email`), PRIMARY KEY (`id`)) ENGINE=InnoDB
ALTER TABLE `typeorm` ADD UNIQUE INDEX `IDX_two` (`d`, `email`)
ALTER TABLE `typeorm` CHANGE `email` `email` varchar(255) CHARACTER SET "utf8mb4" COLLATE "utf8mb4_bin" NULL
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))
CREATE TABLE drupal_users (uid INT unsigned NOT NULL DEFAULT 0 COMMENT 'The ID', langcode VARCHAR(12) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL, access INT NULL DEFAULT NULL, init VARCHAR(254) BINARY, data LONGBLOB NULL, PRIMARY KEY (uid, langcode), INDEX name (langcode, init(10))) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci COMMENT 'Stores user data.'
CREATE TABLE magento_flag (flag_id int UNSIGNED NOT NULL AUTO_INCREMENT COMMENT 'Flag Id', state smallint UNSIGNED NOT NULL DEFAULT 0 COMMENT 'Flag State', last_update timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP COMMENT 'Date', value decimal(20,6) NOT NULL DEFAULT 0.000000, CONSTRAINT PRIMARY KEY (flag_id), INDEX FLAG_LAST_UPDATE (last_update)) ENGINE=innodb DEFAULT CHARSET=utf8 DEFAULT COLLATE=utf8_general_ci COMMENT='Flag' AUTO_INCREMENT 5
DROP TABLE laravel_orders, a_hibernate, hibernate_sequence, Users, Prisma, typeorm, alembic_version, drupal_users, magento_flag
-- What only one of the servers knows
mysql: CREATE TABLE own1 (a INT NOT NULL COLUMN_FORMAT DYNAMIC STORAGE MEMORY, p POINT NOT NULL SRID 4326, j JSON DEFAULT ('{}'), b INT CONSTRAINT own_positive CHECK (b > 0) ENFORCED, c VARCHAR(20), PRIMARY KEY (a), INDEX multi ((CAST(j->'$.a' AS UNSIGNED ARRAY))), SPATIAL INDEX (p)) AUTOEXTEND_SIZE=4M TABLESPACE=innodb_file_per_table
mysql: ALTER TABLE own1 ALTER CHECK own_positive NOT ENFORCED, ALTER INDEX multi INVISIBLE
mysql: ALTER TABLE own1 DROP CONSTRAINT own_positive, ADD INDEX low ((lower(c)), b DESC) INVISIBLE COMMENT 'f'
mysql: ALTER TABLE own1 ADD COLUMN d INT DEFAULT (b + 1), ADD COLUMN e DATETIME(3) DEFAULT (NOW(3))
mysql: ALTER TABLE own1 ADD UNIQUE INDEX uf ((b + d)), RENAME COLUMN e TO ee
mysql: ALTER TABLE own1 SECONDARY_ENGINE_ATTRIBUTE = '{}', ENCRYPTION = 'N'
mysql: CREATE TABLE own2 TABLE own1
mysql: CREATE TABLE own3 (x INT NOT NULL) SELECT column_0 AS x, column_1 AS y FROM (VALUES ROW(1, 2)) AS v
mysql: TRUNCATE own3
mysql: doubt: ALTER TABLE own3 ADD z INT NOT SECONDARY, ADD PRIMARY KEY (x)
mysql: ALTER TABLE own3 MODIFY z INT NOT NULL DEFAULT 1 VISIBLE, ALGORITHM=INPLACE
mysql: DROP TABLE own1, own2, own3
mariadb: doubt: CREATE TABLE IF NOT EXISTS own1 (a INT PRIMARY KEY, s DATE NOT NULL, e DATE NOT NULL, b INT DEFAULT (a + 1), PERIOD FOR valid (s, e), UNIQUE without (a, valid WITHOUT OVERLAPS)) PAGE_COMPRESSED=0 ENCRYPTED=NO TRANSACTIONAL=0
mariadb: doubt: CREATE TABLE own2 (a INT PRIMARY KEY, b VARCHAR(50) COMPRESSED, c BLOB COMPRESSED=zlib)
mariadb: ALTER TABLE IF EXISTS own1 ADD COLUMN IF NOT EXISTS (c INT, d INT), DROP INDEX IF EXISTS nope, ADD INDEX IF NOT EXISTS ib (b), ADD UNIQUE KEY IF NOT EXISTS ub (b)
mariadb: ALTER TABLE own1 ADD CONSTRAINT IF NOT EXISTS cc CHECK (b > 0), DROP CONSTRAINT IF EXISTS nope, MODIFY COLUMN IF EXISTS nope INT, CHANGE IF EXISTS c cc BIGINT
mariadb: ALTER TABLE own1 DROP CONSTRAINT cc, ALTER INDEX ib IGNORED, RENAME KEY ub TO uc
mariadb: ALTER TABLE own1 DROP PERIOD FOR valid, DROP KEY without
mariadb: ALTER TABLE own1 RENAME COLUMN cc TO c, ALTER COLUMN d SET DEFAULT (1 + 1), ADD e2 TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
mariadb: ALTER TABLE own1 WAIT 3 ADD f VARCHAR(20) DEFAULT CONCAT('a', "b"), ADD g INT AS (b + 1) PERSISTENT, ADD h INT DEFAULT 5 INVISIBLE
mariadb: CREATE OR REPLACE INDEX ib ON own1 (b, c)
mariadb: CREATE INDEX IF NOT EXISTS ib ON own1 (c)
mariadb: CREATE UNIQUE INDEX IF NOT EXISTS uc2 ON own1 (c) NOWAIT
mariadb: DROP INDEX IF EXISTS ib ON own1
mariadb: doubt: RENAME TABLE IF EXISTS nope TO nope2, own1 TO own3
mariadb: RENAME TABLE own3 NOWAIT TO own1
mariadb: TRUNCATE TABLE own1 WAIT 2
mariadb: CREATE TABLE own4 (a INT PRIMARY KEY, b TEXT, UNIQUE (b), c INT UNIQUE) ENGINE=InnoDB
mariadb: ALTER TABLE own4 MODIFY b VARCHAR(40)
mariadb: ALTER TABLE own4 MODIFY b LONGTEXT, ADD UNIQUE (b, c)
mariadb: CREATE TABLE own5 (a INT PRIMARY KEY, b INT WITHOUT SYSTEM VERSIONING, c INT)
mariadb: CREATE SEQUENCE own_seq START WITH 100 INCREMENT BY 10
mariadb: ALTER SEQUENCE own_seq RESTART 50
mariadb: CREATE TABLE own6 (a BIGINT PRIMARY KEY DEFAULT NEXTVAL(own_seq), b BIGINT DEFAULT (NEXT VALUE FOR own_seq))
mariadb: DROP TABLE own6
mariadb: DROP SEQUENCE own_seq
mariadb: DROP TABLE IF EXISTS own1, own2, own4, own5 WAIT 5
-- Prefixes and types of indexed columns
CREATE TABLE pre (a BLOB, b TEXT, c VARCHAR(30), d VARBINARY(30), e CHAR(9), UNIQUE ua (a(9)), UNIQUE ub (b(9)), UNIQUE uc (c(9)), UNIQUE ud (d(9)), UNIQUE ue (e(5)))
ALTER TABLE pre MODIFY a VARBINARY(20), MODIFY b VARCHAR(20), MODIFY c TEXT, MODIFY d BLOB
ALTER TABLE pre MODIFY a VARBINARY(9), MODIFY b VARCHAR(9), MODIFY c VARCHAR(9), MODIFY d VARBINARY(5), MODIFY e CHAR(4)
ALTER TABLE pre MODIFY a VARBINARY(20), MODIFY b VARCHAR(20), MODIFY e CHAR(9)
CREATE TABLE pre2 (a BLOB, b TEXT CHARACTER SET latin1, c VARCHAR(30) CHARACTER SET latin1, UNIQUE ua (a(9)), UNIQUE ub (b(9)), UNIQUE uc (c(9)))
ALTER TABLE pre2 MODIFY a VARCHAR(20) CHARACTER SET utf8mb4, MODIFY b VARCHAR(20) CHARACTER SET utf8mb4, MODIFY c VARCHAR(40) CHARACTER SET utf8mb4
ALTER TABLE pre2 MODIFY a INT, MODIFY b VARBINARY(20), MODIFY c DATE
CREATE TABLE pre3 (a BLOB, b BLOB, c TEXT, UNIQUE ua (a(200)), UNIQUE ub (b(40)), UNIQUE uc (c(40)))
ALTER TABLE pre3 MODIFY a VARCHAR(100) CHARACTER SET latin1, MODIFY b VARCHAR(10) CHARACTER SET utf8mb4, MODIFY c VARBINARY(100)
DROP TABLE pre, pre2, pre3
-- Defaults that go beside ON UPDATE
CREATE TABLE upd (a INT PRIMARY KEY, b DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), c DATETIME ON UPDATE CURRENT_TIMESTAMP, d TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP)
ALTER TABLE upd ALTER b DROP DEFAULT, ALTER COLUMN c DROP DEFAULT, ALTER d DROP DEFAULT
ALTER TABLE upd ALTER b DROP DEFAULT, ALTER COLUMN c DROP DEFAULT, ALTER d DROP DEFAULT
mariadb: doubt: ALTER TABLE upd CHANGE b bb DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3) AFTER c, ALTER bb DROP DEFAULT
DROP TABLE upd
-- Indexed columns that were members
CREATE TABLE mem (a ENUM('x','y') CHARACTER SET latin1, b ENUM('x','y') CHARACTER SET utf8mb4, c SET('x') CHARACTER SET latin1, UNIQUE (a), UNIQUE (b))
mysql: doubt: ALTER TABLE mem MODIFY a CHAR(4)
mariadb: ALTER TABLE mem MODIFY a CHAR(4)
ALTER TABLE mem MODIFY b CHAR(4), MODIFY c CHAR(4)
DROP TABLE mem
