-- A small shop.
CREATE DATABASE shop CHARACTER SET utf8mb4;

CREATE TABLE shop.customers (
  id         INT          NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name       VARCHAR(80)  NOT NULL,
  email      VARCHAR(120) NOT NULL,
  vip        TINYINT(1)   NOT NULL DEFAULT 0,
  joined_on  DATE         NOT NULL
) COMMENT 'who buys';

CREATE TABLE shop.products (
  sku        VARCHAR(20)  NOT NULL PRIMARY KEY,
  title      VARCHAR(120) NOT NULL,
  price      DECIMAL(10,2) NOT NULL,
  stock      INT          NOT NULL,
  weight_kg  DOUBLE
);

CREATE TABLE shop.orders (
  id          BIGINT      NOT NULL AUTO_INCREMENT PRIMARY KEY,
  customer_id INT         NOT NULL,
  status      ENUM('new','paid','sent','returned') NOT NULL DEFAULT 'new',
  total       DECIMAL(12,2) NOT NULL DEFAULT 0,
  note        TEXT,
  ordered_at  DATETIME(6) NOT NULL
);

CREATE TABLE shop.order_items (
  order_id   BIGINT       NOT NULL,
  line       SMALLINT UNSIGNED NOT NULL,
  sku        VARCHAR(20)  NOT NULL,
  quantity   INT          NOT NULL,
  price      DECIMAL(10,2) NOT NULL,
  PRIMARY KEY (order_id, line)
);
