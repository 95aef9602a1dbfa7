"""From Kafka into ClickHouse: tables and views, their migrations, and the loader that fills them."""
