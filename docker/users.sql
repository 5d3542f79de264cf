-- What a source needs, and nothing more.
CREATE USER 'cdc'@'%' IDENTIFIED BY 'cdc';
GRANT SELECT, SHOW DATABASES, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'cdc'@'%';
GRANT XA_RECOVER_ADMIN ON *.* TO 'cdc'@'%';
GRANT ALL ON shop.* TO 'shop'@'%';
