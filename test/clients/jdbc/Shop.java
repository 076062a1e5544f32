// Claim and sell with JDBC (the PostgreSQL driver, org.postgresql:postgresql).
import java.sql.*;
import java.time.OffsetDateTime;
import java.util.UUID;

public class Shop implements AutoCloseable {
    // A refusal is a row: look at its status, which is "claimed" or says why not.
    public record Claim(String status, UUID id, int number, OffsetDateTime expiresAt,
                        boolean replayed) {}
    public record Sale(String status, int number, OffsetDateTime finalizedAt, boolean replayed) {}

    private interface Work<T> { T with(Connection connection) throws SQLException; }

    private final String url;
    private Connection connection;

    // Through PgBouncer before 1.21, the URL has prepareThreshold=0.
    public Shop(String url) { this.url = url; }

    public Connection connection() throws SQLException {
        if (connection == null || connection.isClosed()) {
            connection = DriverManager.getConnection(url);
        }
        return connection;
    }

    public Claim claim(String pool, String holder, String requestId) throws SQLException {
        return repeatable(connection -> {
            try (var call = connection.prepareStatement(
                    "SELECT * FROM reservation.claim_next(?, ?, request_id => ?)")) {
                call.setString(1, pool);
                call.setString(2, holder);
                call.setString(3, requestId);
                try (var row = call.executeQuery()) {
                    row.next();
                    return new Claim(row.getString("status"), row.getObject("claim_id", UUID.class),
                        row.getInt("number"), row.getObject("expires_at", OffsetDateTime.class),
                        row.getBoolean("replayed"));
                }
            }
        });
    }

    public Sale sell(UUID claimId) throws SQLException {
        return repeatable(connection -> {
            try (var call = connection.prepareStatement("SELECT * FROM reservation.finalize(?)")) {
                call.setObject(1, claimId);
                try (var row = call.executeQuery()) {
                    row.next();
                    return new Sale(row.getString("status"), row.getInt("number"),
                        row.getObject("finalized_at", OffsetDateTime.class),
                        row.getBoolean("replayed"));
                }
            }
        });
    }

    // One call. Lost connections, deadlocks and timeouts are answered by calling again; but not
    // inside a transaction of yours, which has to be repeated as a whole.
    private <T> T repeatable(Work<T> work) throws SQLException {
        for (int again = 3; ; again--) {
            var connection = connection();
            boolean alone = connection.getAutoCommit();
            try {
                return work.with(connection);
            } catch (SQLException e) {
                boolean lost = e.getSQLState().matches("40001|40P01|55P03|57014|57P0.|08...");
                if (!alone || !lost || again == 0) throw e;
            }
        }
    }

    public void close() throws SQLException {
        if (connection != null) connection.close();
    }
}
